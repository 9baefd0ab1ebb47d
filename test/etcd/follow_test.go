// Package etcd runs examples/etcd against a real etcd.
package etcd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Isolate(m, "podnetd", "podnetctl"))
}

const endpoint = "http://" + lab.Gateway4 + ":2379"

// site is a lab with an etcd on its switch.
type site struct {
	*lab.Lab
	t    *testing.T
	data string
	etcd *exec.Cmd
	env  []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	for _, tool := range []string{"etcd", "etcdctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (apt-get install etcd-server etcd-client)", tool)
		}
	}
	path := filepath.Dir(lab.Program("podnetctl")) + ":" + os.Getenv("PATH")
	s := &site{Lab: lab.New(t), t: t, data: t.TempDir(), env: append(os.Environ(), "PATH="+path, "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+endpoint)}
	must(t, s.Outside().Batch("ip", "link set lo up"))
	return s
}

// start starts etcd, with what it held before, and waits until it answers.
func (s *site) start() {
	s.t.Helper()
	s.etcd = s.run(s.Outside(), "etcd.log", "etcd", "--data-dir", s.data, "--listen-client-urls", endpoint, "--advertise-client-urls", endpoint,
		"--listen-peer-urls", "http://127.0.0.1:2380", "--log-level", "error")
	lab.Eventually(s.t, lab.Patience, "etcd answers", func() error {
		err := s.sh("etcdctl get x --command-timeout=1s")
		if err != nil {
			log, _ := os.ReadFile(filepath.Join(s.data, "etcd.log"))
			err = fmt.Errorf("%w\netcd said\n%s", err, log)
		}
		return err
	})
}

func (s *site) stop() {
	s.t.Helper()
	must(s.t, s.etcd.Process.Kill())
	_ = s.etcd.Wait()
}

// run starts a program in a namespace; it ends with the test.
func (s *site) run(ns *lab.Namespace, log string, args ...string) *exec.Cmd {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.data, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(s.t, err)
	defer f.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, f, f
	must(s.t, ns.Do(cmd.Start))
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// sh runs a command line beside etcd.
func (s *site) sh(line string) error {
	cmd := exec.Command("bash", "-o", "pipefail", "-c", line)
	cmd.Env, cmd.Dir = s.env, s.data
	out, err := s.Outside().Run(s.t.Context(), cmd)
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("%s: exit code %d: %s%s", line, out.Code, out.Stdout, out.Stderr)
	}
	return err
}

// put writes a topology into etcd, as the documentation says.
func (s *site) put(topology string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.data, "topology.yaml"), []byte(topology), 0o644))
	must(s.t, s.sh("etcdctl put /podnet/topology < topology.yaml"))
}

// follow starts the follower of a node.
func (s *site) follow(n *lab.Node) *exec.Cmd {
	s.t.Helper()
	s.env = append(s.env, "PODNET_ROOT="+n.Root, "PODNET_NODE="+n.Host, "PODNET_ETCD_RESYNC=600") // what it notices it was told
	must(s.t, os.MkdirAll(n.Path("/etc/podnet"), 0o755))
	return s.run(n.Namespace, "follower.log", filepath.Join(lab.SourceTree(), "examples/etcd/follow-etcd"))
}

func (s *site) follower() string {
	said, err := os.ReadFile(filepath.Join(s.data, "follower.log"))
	must(s.t, err)
	return string(said)
}

// says waits for the follower to have said something as often.
func (s *site) says(words string, times int) {
	s.t.Helper()
	lab.Eventually(s.t, 2*lab.Patience, "the follower says "+words, func() error {
		if said := s.follower(); strings.Count(said, words) < times {
			return fmt.Errorf("it said\n%s", said)
		}
		return nil
	})
}

// holds waits for the node's file to be this topology, to the byte.
func (s *site) holds(n *lab.Node, topology string) {
	s.t.Helper()
	lab.Eventually(s.t, 2*lab.Patience, "the file follows", func() error {
		have, err := n.ReadFile(lab.TopologyPath)
		if err == nil && have != topology {
			err = fmt.Errorf("it is\n%s\nthe follower said\n%s", have, s.follower())
		}
		return err
	})
}

// TestFollow: what is good arrives, at once and to the byte; nothing else changes the file.
func TestFollow(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"node-a", "node-b", "node-c"} {
		s.Node(name)
	}
	n, all := s.Nodes[0], s.Topology()
	two := all.Without("node-c").String()
	follower := s.follow(n)
	s.says("etcd does not answer", 1)
	s.start()
	s.says("etcd has no /podnet/topology", 1)
	s.put(two)
	s.holds(n, two)
	n.Start()
	n.AwaitInForce()

	s.put(all.String())
	s.holds(n, all.String())
	n.AwaitInForce()

	s.put(strings.Replace(two, n.IP4, "192.0.2.300", 1))
	s.says("is not an IP address", 1)
	s.put(strings.Replace(two, "name: lab", "name: prod", 1))
	s.says("metadata.name", 1)
	must(t, s.sh("etcdctl del /podnet/topology"))
	s.says("etcd has no /podnet/topology", 2)
	s.holds(n, all.String())

	s.stop()
	s.start()
	s.put(all.String() + "# again\n")
	s.holds(n, all.String()+"# again\n")

	must(t, follower.Process.Signal(unix.SIGKILL))
	s.put(all.String())
	must(t, os.WriteFile(n.Path("/etc/podnet/.topology.yaml.etcd"), []byte("half a fi"), 0o644))
	s.follow(n)
	s.holds(n, all.String())
	n.AwaitInForce()
	if left, err := os.ReadDir(n.Path("/etc/podnet")); err != nil || len(left) != 1 {
		t.Errorf("beside the file: %v, %v", left, err)
	}
}

// TestReadme runs the documentation's commands: those of a node below a root of its own, where
// nothing is enabled.
func TestReadme(t *testing.T) {
	s := newSite(t)
	s.Node("node-a")
	s.start()
	topology := s.Topology()
	topology.Extra = []string{`network: {clusterCIDRs: ["10.244.0.0/16", "fd00:10:244::/48"]}`}
	must(t, os.WriteFile(filepath.Join(s.data, "topology.yaml"), []byte(topology.String()), 0o644))
	must(t, os.CopyFS(s.data, os.DirFS(filepath.Join(lab.SourceTree(), "examples/etcd"))))
	root := filepath.Join(s.data, "root")
	for _, dir := range []string{"usr/local/sbin", "etc/systemd/system", "etc/default"} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	text, err := os.ReadFile(filepath.Join(s.data, "README.md"))
	must(t, err)
	ran := 0
	for _, m := range regexp.MustCompile(`(?m)^    (\S[^#\n]*[^# \n])`).FindAllStringSubmatch(string(text), -1) {
		line := m[1]
		switch {
		case strings.HasPrefix(line, "systemctl "):
			line = "! command -v systemd-analyze >/dev/null || systemd-analyze security --offline=true --threshold=20 podnet-etcd.service"
		case strings.HasPrefix(line, "install "):
			line = regexp.MustCompile(` /(\S+)$`).ReplaceAllString(line, " "+root+"/$1")
		}
		ran++
		must(t, s.sh(line))
	}
	if ran != 8 {
		t.Errorf("%d commands in README.md", ran)
	}
	must(t, s.sh("etcdctl get /podnet/topology --print-value-only | grep -q 'name: node-d'"))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
