package runtime

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// podman is one on a node, with the CNI backend and the node's conflist.
type podman struct {
	t    *testing.T
	node *lab.Node
	dir  string
}

// podmanConfig is for a machine that lacks CAP_SYS_RESOURCE, where the default limits cannot be
// raised.
const podmanConfig = `[containers]
pids_limit = 0
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_backend = "cni"
cni_plugin_dirs = [%q]
network_config_dir = %q
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
`

const acceptAnything = `{"default": [{"type": "insecureAcceptAnything"}]}`

// newPodman is a podman with the test's image; its containers end with the test.
func newPodman(t *testing.T, n *lab.Node) *podman {
	t.Helper()
	requirePrograms(t, "podman", "conmon", "runc", "busybox")
	p := &podman{t: t, node: n, dir: n.Path("/podman")}
	must(t, os.MkdirAll(p.dir, 0o755))
	must(t, os.WriteFile(p.file("containers.conf"), fmt.Appendf(nil, podmanConfig, filepath.Dir(lab.Program("cni/bridge")), filepath.Dir(n.Path(lab.ConflistPath))), 0o644))
	must(t, os.WriteFile(p.file("policy.json"), []byte(acceptAnything), 0o644))
	busybox, err := exec.LookPath("busybox")
	must(t, err)
	tarball, err := image(busyboxImage, busybox, "")
	must(t, err)
	must(t, os.WriteFile(p.file("image.tar"), tarball, 0o644))
	p.must("load", "--signature-policy", p.file("policy.json"), "-i", p.file("image.tar"))
	t.Cleanup(func() {
		if _, err := p.do("rm", "-f", "-a", "-t", "0"); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *podman) file(name string) string { return filepath.Join(p.dir, name) }

// do runs podman on the node and returns what it printed.
func (p *podman) do(args ...string) (string, error) {
	cmd := exec.Command("podman", append([]string{"--root", p.file("root"), "--runroot", p.file("run"), "--tmpdir", p.file("tmp"),
		"--storage-driver", "vfs", "--network-config-dir", filepath.Dir(p.node.Path(lab.ConflistPath))}, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+p.file("containers.conf"))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own is over when it cleans up
	defer cancel()
	out, err := p.node.Run(ctx, cmd)
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("podman %s: exit %d: %s%s", strings.Join(args, " "), out.Code, out.Stderr, out.Stdout)
	}
	return strings.TrimSpace(out.Stdout), err
}

func (p *podman) must(args ...string) string {
	p.t.Helper()
	out, err := p.do(args...)
	must(p.t, err)
	return out
}

// run starts a container in the network "podnet" and returns its addresses, IPv4 first.
func (p *podman) run(name string, args ...string) []string {
	p.t.Helper()
	args = append([]string{"run", "-d", "--name", name, "--network", "podnet", "--pull", "never"}, args...)
	p.must(append(args, busyboxImage, "/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/etc")...)
	const format = "{{with .NetworkSettings.Networks.podnet}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}"
	ips := strings.Fields(p.must("inspect", "-f", format, name))
	if len(ips) != 2 {
		p.t.Errorf("%s has addresses %v, want one of each family", name, ips)
	}
	return ips
}

// Containers of podman have addresses out of the node's podCIDRs, talk, publish ports, and give
// everything back.
func TestPodman(t *testing.T) {
	l := lab.New(t)
	l.OwnConflists = true
	n := l.Node("node-a")
	n.Write(l.Topology().String())
	n.Start()
	p := newPodman(t, n)
	p.run("a", "-p", "8089:8080")
	for _, to := range p.run("b") {
		p.must("exec", "a", "/bin/busybox", "ping", "-c", "1", "-W", "2", to)
	}
	lab.Eventually(t, lab.Patience, "the published port answers", func() error {
		_, err := l.Outside().Exec("busybox", "wget", "-q", "-O", "-", "http://"+n.IP4+":8089/passwd")
		return err
	})
	p.must("restart", "-t", "0", "b")
	p.must("exec", "b", "/bin/busybox", "ping", "-c", "1", "-W", "2", "10.244.0.1")
	p.must("rm", "-f", "-t", "0", "a", "b")
	if err := left(n); err != nil {
		t.Error(err)
	}
}
