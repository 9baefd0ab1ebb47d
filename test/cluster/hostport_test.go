package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
)

// serve has the pod answer every connection to a TCP port with a line.
func serve(t *testing.T, p *lab.Pod, port int) {
	t.Helper()
	var listener net.Listener
	if err := p.Do(func() (err error) {
		listener, err = net.Listen("tcp", fmt.Sprint(":", port))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, p.PodName)
			_ = conn.Close()
		}
	}()
}

// fetch opens a connection from the namespace and wants the pod's line.
func fetch(from *lab.Namespace, addr, want string) error {
	var conn net.Conn
	if err := from.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", addr, 200*time.Millisecond)
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	got, err := io.ReadAll(conn)
	if err == nil && string(got) != want {
		err = fmt.Errorf("%q answers, want %q", got, want)
	}
	return err
}

// longestGap fetches every ten milliseconds until done is closed, and returns the longest time
// between two answers.
func longestGap(fetch func() error, done <-chan struct{}) time.Duration {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last, longest := time.Now(), time.Duration(0)
	for {
		if fetch() == nil {
			longest, last = max(longest, time.Since(last)), time.Now()
		}
		select {
		case <-done:
			return max(longest, time.Since(last))
		case <-tick.C:
		}
	}
}

// publish makes a pod that a port of the host leads to.
func publish(t *testing.T, n *lab.Node, name string, port int) *lab.Pod {
	t.Helper()
	p := n.NewPod(name)
	p.Ports = []lab.PortMapping{{HostPort: port, ContainerPort: 80, Protocol: "tcp"}}
	if _, err := p.Add(); err != nil {
		t.Fatal(err)
	}
	return p
}

func records(t *testing.T, n *lab.Node) []string {
	t.Helper()
	entries, err := os.ReadDir(n.Path("/run/podnet/hostports"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Whoever takes a published port's rules away, the port works again at once, without an event other
// than the kernel's: the daemons resync every ten minutes. A DEL leaves nothing.
func TestHostPortHeals(t *testing.T) {
	for backend, harms := range map[string][]string{
		"nftables": {"nft flush ruleset", "nft delete table ip cni_hostport", "nft flush chain ip cni_hostport hostports"},
		"iptables": {"nft flush ruleset", "nft delete table ip nat", "iptables -t nat -F", "iptables -t nat -F CNI-HOSTPORT-DNAT"},
	} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			l := lab.New(t)
			l.OwnRules = true
			n, other := l.Node("node-a"), l.Node("node-b")
			for _, node := range l.Nodes {
				node.Write(l.Topology().String())
				node.Start()
				node.AwaitInForce()
			}
			n.Stop()
			conflist, err := n.ReadFile(lab.ConflistPath)
			if err != nil {
				t.Fatal(err)
			}
			n.WriteFile(lab.ConflistPath, strings.Replace(conflist, `"type": "portmap",`, fmt.Sprintf(`"type": "portmap", "backend": %q,`, backend), 1))
			web := publish(t, n, "web", 8080)
			serve(t, web, 80)
			n.Start()
			n.AwaitInForce()
			addr := net.JoinHostPort(n.IP4, "8080")
			lab.Eventually(t, lab.Patience, "the published port", func() error { return fetch(other.Namespace, addr, "web") })
			exits(t, n.Podnetctl("diff"), 0, "diff with a published port")
			for _, harm := range harms {
				healsPort(t, n, harm, func() error { return fetch(other.Namespace, addr, "web") })
			}
			if err := web.Del(); err != nil {
				t.Fatal(err)
			}
			if left := records(t, n); len(left) > 0 {
				t.Errorf("records %q", left)
			}
			if rules := n.Sh("iptables-save") + n.Sh("nft list ruleset"); strings.Contains(rules, "8080") || strings.Contains(rules, "HOSTPORT") {
				t.Errorf("rules\n%s", rules)
			}
			exits(t, n.Podnetctl("diff"), 0, "diff after the DEL")
		})
	}
}

// healsPort does harm while a published port is fetched in a loop, and prints for how long it was
// not to be had.
func healsPort(t *testing.T, n *lab.Node, harm string, fetch func() error) {
	t.Helper()
	done, gap := make(chan struct{}), make(chan time.Duration)
	go func() { gap <- longestGap(fetch, done) }()
	n.Sh(harm)
	lab.Eventually(t, lab.Patience, "in sync after "+harm, func() error {
		if out := n.Podnetctl("diff"); out.Code != 0 {
			return errors.New(out.Stdout + out.Stderr)
		}
		return fetch()
	})
	close(done)
	t.Logf("%s: longest gap %d ms", harm, (<-gap).Milliseconds())
}

// pods, diff and status show host ports; a damaged record is named and keeps nothing from being
// healed; a pod that is gone has its record collected, and teardown leaves nothing.
func TestHostPortIsShown(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	web := publish(t, n, "web", 8080)
	veth := contract.HostVeth("podnet", web.ID, "eth0")
	says := "8080/tcp to " + web.Addr4() + ":80"
	if out := n.Podnetctl("pods"); !strings.Contains(out.Stdout, "host ports "+says) {
		t.Errorf("pods\n%s%s", out.Stdout, out.Stderr)
	}
	var list struct {
		Pods []struct{ HostPorts []string }
	}
	if err := json.Unmarshal([]byte(n.Podnetctl("pods", "-o", "json").Stdout), &list); err != nil ||
		len(list.Pods) != 1 || len(list.Pods[0].HostPorts) == 0 || list.Pods[0].HostPorts[0] != says {
		t.Errorf("pods -o json: %+v, %v", list, err)
	}
	if out := n.Podnetctl("status", "-o", "json"); !strings.Contains(strings.Join(strings.Fields(out.Stdout), ""), `"hostPort":1,`) {
		t.Errorf("status\n%s", out.Stdout)
	}
	if s, err := n.Status(); err != nil || s.Healed() != 0 {
		t.Errorf("an ADD was taken for a harm: healed %v, %v", s.HealedTotal, err)
	}
	n.Stop()
	n.Sh("iptables -t nat -F CNI-HOSTPORT-DNAT")
	out := n.Podnetctl("diff")
	exits(t, out, 1, "diff without the rules")
	for _, word := range []string{"hostPort", veth, says, "a rule that all pods share"} {
		if !strings.Contains(strings.Join(strings.Fields(out.Stdout), " "), word) {
			t.Errorf("diff does not say %q\n%s", word, out.Stdout)
		}
	}
	torn := filepath.Join(n.Path("/run/podnet/hostports"), "torn.json")
	if err := os.WriteFile(torn, []byte(`{"network":"pod`), 0o600); err != nil {
		t.Fatal(err)
	}
	exits(t, n.Podnetctl("apply"), 0, "apply beside a torn record")
	if err := web.Check(); err != nil {
		t.Error(err)
	}
	if out := n.Podnetctl("status", "-o", "json"); !strings.Contains(out.Stdout, torn) {
		t.Errorf("status does not name the torn record\n%s", out.Stdout)
	}
	if err := os.Remove(torn); err != nil {
		t.Fatal(err)
	}

	if err := web.Close(); err != nil {
		t.Fatal(err)
	}
	lab.Eventually(t, lab.Patience, "the pod's veth is gone", func() error {
		if links := n.Sh("ip -o link show group 7201"); links != "" {
			return errors.New(links)
		}
		return nil
	})
	exits(t, n.Podnetctl("diff"), 0, "diff without the pod")
	exits(t, n.Podnetctl("gc"), 0, "gc")
	if left := records(t, n); len(left) > 0 {
		t.Errorf("records after gc: %q", left)
	}

	publish(t, n, "again", 8081)
	exits(t, n.Podnetctl("teardown", "--force"), 0, "teardown")
	if left := records(t, n); len(left) > 0 {
		t.Errorf("records after teardown: %q", left)
	}
	if rules := n.Sh("iptables-save") + n.Sh("nft list ruleset"); strings.Contains(rules, "808") {
		t.Errorf("rules after teardown\n%s", rules)
	}
}

// Rules that podnet's own plugin did not make, or made for a network that is not podnet's, are
// neither healed nor reported, and podnet's conflist works with the reference plugin.
func TestForeignHostPortsAreLeftAlone(t *testing.T) {
	for what, prepare := range map[string]func(*testing.T, *lab.Node){
		"reference plugins": func(t *testing.T, n *lab.Node) {
			dir, err := lab.ReferencePlugins()
			if err != nil {
				t.Skip(err)
			}
			n.CNIPath = dir
		},
		"foreign conflist": func(t *testing.T, n *lab.Node) {
			conflist, err := n.ReadFile(lab.ConflistPath)
			if err != nil {
				t.Fatal(err)
			}
			n.WriteFile(lab.ConflistPath, strings.Replace(conflist, `"records"`, `"other"`, 1))
		},
	} {
		t.Run(what, func(t *testing.T) {
			l, _ := cluster(t, "node-a")
			n := l.Nodes[0]
			n.Stop()
			prepare(t, n)
			p := publish(t, n, "web", 8080)
			n.Start()
			n.AwaitInForce()
			if rules := n.Sh("iptables-save -t nat"); !strings.Contains(rules, "8080") {
				t.Fatalf("no port is published\n%s", rules)
			}
			n.Sh("iptables -t nat -F CNI-HOSTPORT-DNAT")
			exits(t, n.Podnetctl("apply"), 0, "apply")
			if out := n.Podnetctl("diff"); out.Code != 0 || strings.Contains(out.Stdout, "hostPort") {
				t.Errorf("diff: exit code %d\n%s", out.Code, out.Stdout)
			}
			if rules := n.Sh("iptables -t nat -S CNI-HOSTPORT-DNAT"); strings.Contains(rules, "8080") {
				t.Errorf("somebody healed it\n%s", rules)
			}
			if left := records(t, n); len(left) > 0 {
				t.Errorf("records %q", left)
			}
			if err := p.Del(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Two pods with one port, as an ADD finds it free whose holder's rules somebody has flushed: the
// second keeps it, the first is named with what to do, and everything else is healed.
func TestTwoPodsClaimOneHostPort(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	first, third := publish(t, n, "first", 8080), publish(t, n, "third", 8090)
	n.Stop()
	n.Sh("iptables -t nat -F CNI-HOSTPORT-DNAT")
	n.Sh("ip6tables -t nat -F CNI-HOSTPORT-DNAT")
	second := publish(t, n, "second", 8080)
	out := n.Podnetctl("apply")
	exits(t, out, 1, "apply")
	for _, word := range []string{"host port 8080/tcp is taken", second.ID, contract.HostVeth("podnet", first.ID, "eth0")} {
		if said := out.Stdout + out.Stderr; !strings.Contains(strings.Join(strings.Fields(said), " "), word) {
			t.Errorf("apply does not say %q\n%s", word, said)
		}
	}
	for _, p := range []*lab.Pod{second, third} {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
	}
	if err := second.Del(); err != nil {
		t.Fatal(err)
	}
	exits(t, n.Podnetctl("apply"), 0, "apply without the second")
	if err := first.Check(); err != nil {
		t.Error(err)
	}
}
