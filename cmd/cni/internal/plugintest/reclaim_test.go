package plugintest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// age makes all leases older than any ADD takes.
func age(t *testing.T, h *host) {
	t.Helper()
	old := time.Now().Add(-10 * time.Minute)
	for _, name := range leaseFiles(t, h) {
		if err := os.Chtimes(filepath.Join(h.leases(), "net", name), old, old); err != nil {
			t.Fatal(err)
		}
	}
}

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
	link(filepath.Join(reference(t), "bridge"), "bridge")
	link(filepath.Join(ours, "host-local"), "host-local")
	for name, path := range map[string]string{"ours": ours, "theirs": mixed} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			conf := h.conf(`"isGateway":true`, `"ranges":[[{"subnet":"10.1.0.0/29"}],[{"subnet":"fd00:1::/125"}]]`)
			add := func(p *lab.Pod) call { c := on(p, conf).with("ADD"); c.path = path; return c }
			var pods []*lab.Pod
			for i := range 5 {
				pods = append(pods, h.NewPod(fmt.Sprint("p", i)))
				h.must(add(pods[i]))
			}
			age(t, h)
			late := h.NewPod("late")
			h.fails(add(late), 100, "all 5 are leased: a larger range, or fewer pods on this node")
			status := call{verb: "STATUS", conf: withKeys(conf, ""), path: ours}
			h.fails(status, 50, "5 of 5 addresses")
			h.must(add(late).with("DEL")) // theirs has left a veth
			kill(t, h, pods[1], pods[3])
			h.Must("ip", "link", "del", "br0") // the others are ports of nothing now
			h.must(status)
			same(t, "leases after a STATUS", strings.Join(leaseFiles(t, h), " "), "10.1.0.2 10.1.0.3 10.1.0.4 10.1.0.5 10.1.0.6 fd00:1::2 fd00:1::3 fd00:1::4 fd00:1::5 fd00:1::6")
			for _, want := range []string{"10.1.0.3/29", "10.1.0.5/29"} {
				if got := h.must(add(h.NewPod("next" + want[:len("10.1.0.3")]))); !strings.Contains(got, want) {
					t.Errorf("%s, want %s", got, want)
				}
			}
			age(t, h)
			h.fails(add(late), 100, "all 5 are leased")
			h.fails(status, 50, "5 of 5 addresses")
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

// Leases that nobody can judge stay, and the message says which files: another plugin's, and those
// of pods that need no veth.
func TestUnjudgedLeases(t *testing.T) {
	h := newHost(t)
	ipam := func(id, kind string) call {
		c := h.ipam(id, "1.0.0", "", `"ranges":[[{"subnet":"10.1.0.0/29"}]]`)
		c.conf = strings.Replace(c.conf, `"type":"x"`, `"type":"`+kind+`"`, 1)
		return c
	}
	for i := range 4 {
		h.must(ipam(fmt.Sprint("c", i), "macvlan").with("ADD"))
	}
	if err := os.WriteFile(h.leases()+"/net/10.1.0.6", []byte("theirs\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	age(t, h)
	h.fails(ipam("late", "macvlan").with("ADD"), 100, "all 5 are leased", "of 5 podnet cannot tell", h.leases()+"/net/10.1.0.")
	h.fails(ipam("late", "bridge").with("ADD").named("10.1.0.6"), 101, "container theirs (eth0) has it")
	if got := h.must(ipam("late", "bridge").with("ADD")); !strings.Contains(got, "10.1.0.2/29") {
		t.Error(got)
	}
}

// named asks for an address.
func (c call) named(addr string) call { c.args = "IP=" + addr; return c }

// A container with a boot id of its own, which sees the host's links, frees nothing of live pods by
// any verb, and the host does not afterwards; what has no pod is free in either.
func TestAnotherBootID(t *testing.T) {
	h := newHost(t)
	conf := h.conf(`"isGateway":true`, ranges4)
	live, dead := h.NewPod("live"), h.NewPod("dead")
	h.must(on(live, conf).with("ADD"))
	h.must(on(dead, conf).with("ADD"))
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
	status := call{verb: "STATUS", conf: withKeys(conf, "")}
	h.must(status)
	h.must(on(live, conf).with("DEL").of("nobody"))
	same(t, "leases", strings.Join(leaseFiles(t, h), " "), "10.1.0.2 10.1.0.3")
	unmount()
	kill(t, h, dead)
	h.must(status)
	same(t, "leases", strings.Join(leaseFiles(t, h), " "), "10.1.0.2")
	if got := h.must(on(h.NewPod("next"), conf).with("ADD")); !strings.Contains(got, "10.1.0.4/24") {
		t.Error(got)
	}
}

// of is the call for another container.
func (c call) of(id string) call { c.id, c.netns = id, ""; return c }
