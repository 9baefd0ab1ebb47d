package runtime

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// cnitool runs libcni's own tool for one pod of a node.
func cnitool(t *testing.T, n *lab.Node, verb, netns string) error {
	t.Helper()
	if _, err := os.Stat(lab.Program("cnitool")); err != nil {
		t.Skip("bin/cnitool is missing: make reference")
	}
	cmd := exec.Command(lab.Program("cnitool"), verb, "podnet", netns)
	cmd.Env = append(os.Environ(), "CNI_PATH="+filepath.Dir(lab.Program("cni/bridge")), "NETCONFPATH="+filepath.Dir(n.Path(lab.ConflistPath)))
	out, err := n.Run(t.Context(), cmd)
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("cnitool %s: exit %d: %s%s", verb, out.Code, out.Stdout, out.Stderr)
	}
	return err
}

// Every verb of libcni, in the specification's newest version, on podnet's conflist.
func TestCnitool(t *testing.T) {
	l := lab.New(t)
	l.OwnConflists = true
	n := l.Node("node-a")
	n.Write(l.Topology().String())
	n.Start()
	pod := lab.NewNamespace(t, "cnitool")
	for _, verb := range []string{"status", "add", "check"} {
		must(t, cnitool(t, n, verb, pod.Path))
	}
	if err := pod.Ping("10.244.0.1"); err != nil {
		t.Errorf("the pod does not reach its gateway: %v", err)
	}
	n.Sh("ip link set dev cni0 down") // podnetd sets it up again
	lab.Eventually(t, lab.Patience, "CHECK is content", func() error { return cnitool(t, n, "check", pod.Path) })
	must(t, cnitool(t, n, "del", pod.Path))
	must(t, cnitool(t, n, "del", pod.Path))
	if err := left(n); err != nil {
		t.Error(err)
	}
}

// Two runtimes on one network: with disableGC the garbage collection of one leaves the other's pods
// alone, without it they lose what they have. Both get addresses of their own.
func TestTwoRuntimesOnOneNetwork(t *testing.T) {
	for _, disabled := range []bool{true, false} {
		t.Run(fmt.Sprintf("disableGC=%v", disabled), func(t *testing.T) {
			l := lab.New(t)
			l.OwnConflists = true
			n := l.Node("node-a")
			topology := l.Topology()
			topology.Extra = []string{fmt.Sprintf("network: {cni: {disableGC: %v}}", disabled)}
			n.Write(topology.String())
			n.Start()
			p := newPodman(t, n)
			address := p.run("of-podman")[0]
			pod := lab.NewNamespace(t, "of-cnitool")
			must(t, cnitool(t, n, "add", pod.Path))
			if addrs, err := pod.Exec("ip", "-o", "addr"); err != nil || strings.Contains(addrs, address+"/") {
				t.Errorf("podman's container has %s, the other runtime's:\n%s (%v)", address, addrs, err)
			}
			must(t, cnitool(t, n, "gc", pod.Path)) // without a word of valid attachments of its own
			_, err := n.ReadFile("/var/lib/cni/networks/podnet/" + address)
			if kept := err == nil; kept != disabled {
				t.Errorf("disableGC is %v; the lease of podman's container is there: %v", disabled, kept)
			}
			if disabled {
				p.must("exec", "of-podman", "/bin/busybox", "ping", "-c", "1", "-W", "2", "10.244.0.1")
			}
			p.must("rm", "-f", "-t", "0", "of-podman")
			must(t, cnitool(t, n, "del", pod.Path))
			if err := left(n); err != nil {
				t.Error(err)
			}
		})
	}
}
