package bridge_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// Pods that were killed without a DEL keep no address from others, in any network, whichever bridge
// plugin connected them: theirs has random names for veths. Live pods keep theirs, though their
// bridge was deleted.
func TestKilledPods(t *testing.T) {
	ours := lab.Program("cni")
	mixed := t.TempDir() // the reference's bridge plugin with podnet's host-local
	link := func(from, to string) {
		if err := os.Symlink(from, filepath.Join(mixed, to)); err != nil {
			t.Fatal(err)
		}
	}
	link(filepath.Join(cnihost.Reference(t), "bridge"), "bridge")
	link(filepath.Join(ours, "host-local"), "host-local")
	for name, path := range map[string]string{"ours": ours, "theirs": mixed} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			conf := h.conf(`"isGateway":true`, `"ranges":[[{"subnet":"10.1.0.0/29"}],[{"subnet":"fd00:1::/125"}]]`)
			add := func(p *lab.Pod) cnihost.Call { c := on(p, conf).With("ADD"); c.Path = path; return c }
			var pods []*lab.Pod
			for i := range 5 {
				pods = append(pods, h.NewPod(fmt.Sprint("p", i)))
				h.Succeed(add(pods[i]))
			}
			h.AgeLeases()
			late := h.NewPod("late")
			h.Fail(add(late), 100, "all 5 are leased: a larger range, or fewer pods on this node")
			status := cnihost.Call{Plugin: "bridge", Verb: "STATUS", Conf: withKeys(conf, ""), Path: ours}
			h.Fail(status, 50, "5 of 5 addresses")
			h.Succeed(add(late).With("DEL")) // theirs has left a veth
			kill(t, h, pods[1], pods[3])
			h.Must("ip", "link", "del", "br0") // the others are ports of nothing now
			h.Succeed(status)
			cnihost.Same(t, "leases after a STATUS", h.LeaseFiles(), "10.1.0.2 10.1.0.3 10.1.0.4 10.1.0.5 10.1.0.6 fd00:1::2 fd00:1::3 fd00:1::4 fd00:1::5 fd00:1::6")
			for _, want := range []string{"10.1.0.3/29", "10.1.0.5/29"} {
				if got := h.Succeed(add(h.NewPod("next" + want[:len("10.1.0.3")]))); !strings.Contains(got, want) {
					t.Errorf("%s, want %s", got, want)
				}
			}
			h.AgeLeases()
			h.Fail(add(late), 100, "all 5 are leased")
			h.Fail(status, 50, "5 of 5 addresses")
		})
	}
}

// kill ends pods as the crash of a runtime does: nobody calls DEL.
func kill(t *testing.T, h *host, pods ...*lab.Pod) {
	t.Helper()
	for _, p := range pods {
		if _, err := p.Exec("ip", "link", "del", "eth0"); err != nil {
			t.Fatal(err)
		}
	}
}

// A container with a boot id of its own, which sees the host's links, frees nothing of live pods by
// any verb, and the host does not afterwards; what has no pod is free in either.
func TestAnotherBootID(t *testing.T) {
	h := newHost(t)
	conf := h.conf(`"isGateway":true`, ranges4)
	live, dead := h.NewPod("live"), h.NewPod("dead")
	h.Succeed(on(live, conf).With("ADD"))
	h.Succeed(on(dead, conf).With("ADD"))
	const file = "/proc/sys/kernel/random/boot_id"
	other := filepath.Join(t.TempDir(), "boot_id")
	if err := os.WriteFile(other, []byte("00000000-0000-4000-8000-000000000001\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(other, file, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cover %s: %v", file, err)
	}
	mounted := true
	unmount := func() {
		if mounted {
			if out, err := exec.Command("umount", file).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
		mounted = false
	}
	defer unmount()
	status := cnihost.Call{Plugin: "bridge", Verb: "STATUS", Conf: withKeys(conf, "")}
	h.Succeed(status)
	h.Succeed(on(live, conf).With("DEL").Of("nobody"))
	cnihost.Same(t, "leases", h.LeaseFiles(), "10.1.0.2 10.1.0.3")
	unmount()
	kill(t, h, dead)
	h.Succeed(status)
	cnihost.Same(t, "leases", h.LeaseFiles(), "10.1.0.2")
	if got := h.Succeed(on(h.NewPod("next"), conf).With("ADD")); !strings.Contains(got, "10.1.0.4/24") {
		t.Error(got)
	}
}
