package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// newNode is a lab of one node whose podnetd has converged, with a containerd.
func newNode(t *testing.T) *containerd {
	t.Helper()
	requirePrograms(t, "containerd", "runc", "ctr", "busybox")
	l := lab.New(t)
	l.OwnConflists = true
	n := l.Node("node-a")
	n.Write(l.Topology().String())
	n.Start()
	c := startContainerd(t, n)
	c.await("the runtime is ready", c.networkReady)
	return c
}

// Whichever of the two daemons is restarted or killed under a pod: it keeps its address, is
// reached, and can be removed.
func TestRestartsUnderPods(t *testing.T) {
	c := newNode(t)
	p := c.run("p")
	main := p.container("main", "sleep", "1000")
	for what, happen := range map[string]func(){
		"podnetd restarted":    func() { c.node.Restart() },
		"podnetd killed":       func() { c.node.Kill9(); c.node.Start() },
		"containerd restarted": func() { c.signal(syscall.SIGTERM); c.launch() },
		"containerd killed":    func() { c.signal(syscall.SIGKILL); c.launch() },
	} {
		happen()
		if ips, err := p.addresses(); err != nil || !slices.Equal(ips, p.ips) {
			t.Errorf("%s: addresses %v (%v), want %v", what, ips, err, p.ips)
		}
		for _, ip := range p.ips {
			if err := c.node.Ping(ip); err != nil {
				t.Errorf("%s: the node does not reach its pod: %v", what, err)
			}
		}
		if _, err := p.exec(main, "ping", "-c", "1", "-W", "2", "10.244.0.1"); err != nil {
			t.Errorf("%s: the pod does not reach its gateway: %v", what, err)
		}
	}
	c.await("the runtime is ready again", c.networkReady)
	other := c.run("other")
	if slices.ContainsFunc(other.ips, func(ip string) bool { return slices.Contains(p.ips, ip) }) {
		t.Errorf("a second pod has %v, the first %v", other.ips, p.ips)
	}
	p.remove()
	other.remove()
	c.wantNothingLeft()
}

// Fifty pods at once: each has addresses of its own, and all are given back.
func TestFiftyPodsAtOnce(t *testing.T) {
	c := newNode(t)
	pods, errs := c.runAtOnce(50)
	owner := map[string]int{}
	for i, p := range pods {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		for _, ip := range p.ips {
			if other, taken := owner[ip]; taken {
				t.Errorf("%s is the address of pods %d and %d", ip, other, i)
			}
			owner[ip] = i
		}
	}
	if len(owner) != 100 {
		t.Errorf("%d addresses for 50 pods of two families", len(owner))
	}
	must(t, c.removeAll(t.Context()))
	c.wantNothingLeft()
}

// containerd is killed while pods start. What it knows of afterwards can be removed; of what it has
// forgotten, gc frees the leases as soon as the namespaces are gone.
func TestKilledWhilePodsStart(t *testing.T) {
	c := newNode(t)
	images := c.snapshots()
	failed := make(chan int)
	go func() {
		_, errs := c.runAtOnce(20)
		failed <- len(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
	}()
	c.await("some pods have addresses", func() error {
		leases, err := leases(c.node)
		if err == nil && len(leases) < 8 {
			err = fmt.Errorf("%d leases", len(leases))
		}
		return err
	})
	c.signal(syscall.SIGKILL)
	if n := <-failed; n == 0 {
		t.Error("all pods were started before containerd was killed: nothing was tested")
	}
	c.launch()
	c.await("the runtime is ready again", c.networkReady)
	must(t, c.removeAll(t.Context()))
	c.closeForgotten()
	c.dropSnapshotsBut(images)
	c.await("gc leaves nothing behind", func() error {
		if out := c.node.Podnetctl("gc"); out.Code != 0 {
			return fmt.Errorf("gc: exit %d: %s%s", out.Code, out.Stdout, out.Stderr)
		}
		return left(c.node)
	})
	p := c.run("after")
	p.remove()
	c.wantNothingLeft()
}

// closeForgotten unmounts the namespaces of sandboxes that containerd had not noted down when it
// was killed: it never does so itself.
func (c *containerd) closeForgotten() {
	c.t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.dir, "state/io.containerd.grpc.v1.cri/netns/*"))
	must(c.t, err)
	for _, path := range paths {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			c.t.Errorf("unmount %s: %v", path, err)
		}
	}
	c.t.Logf("%d namespaces forgotten by containerd", len(paths))
}

// snapshots are the directories of containerd's snapshots.
func (c *containerd) snapshots() []string {
	c.t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.dir, "root/io.containerd.snapshotter.v1.native/snapshots/*"))
	must(c.t, err)
	return paths
}

// dropSnapshotsBut removes those that containerd had made and not noted down when it was killed: it
// would use their numbers again, and fail for ever.
func (c *containerd) dropSnapshotsBut(keep []string) {
	c.t.Helper()
	for _, path := range c.snapshots() {
		if !slices.Contains(keep, path) {
			must(c.t, os.RemoveAll(path))
		}
	}
}

// After a reboot last boot's conflist is still there. The runtime must not take the node for ready
// before podnetd has converged, and the leases of that boot are free.
func TestReboot(t *testing.T) {
	c := newNode(t)
	before := c.run("before")
	c.signal(syscall.SIGKILL)
	c.node.Kill9()
	c.reboot()

	busy, err := os.OpenFile(c.node.Path("/run/podnet/lock"), os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	defer busy.Close()
	must(t, unix.Flock(int(busy.Fd()), unix.LOCK_EX)) // podnetd can start, and not converge
	if _, err := c.node.ReadFile(lab.ConflistPath); err != nil {
		t.Fatalf("last boot's conflist should be on disk: %v", err)
	}
	c.node.Launch()
	lab.Eventually(t, lab.Patience, "podnetd takes last boot's conflist away", func() error {
		if _, err := c.node.ReadFile(lab.ConflistPath); err == nil {
			return fmt.Errorf("it is there")
		}
		return nil
	})
	c.launch()
	if c.networkReady() == nil {
		t.Error("the runtime is ready before podnetd has converged")
	}
	must(t, unix.Flock(int(busy.Fd()), unix.LOCK_UN))
	c.await("the runtime is ready after podnetd has converged", c.networkReady)

	after := c.run("after")
	if err := c.node.Ping(after.ips[0]); err != nil {
		t.Error(err)
	}
	c.await("last boot's leases are gone", func() error {
		leases, err := leases(c.node)
		if err == nil && slices.Contains(leases, before.ips[0]) && !slices.Contains(after.ips, before.ips[0]) {
			err = fmt.Errorf("%s is still leased", before.ips[0])
		}
		return err
	})
	after.remove()
	must(t, c.removeAll(t.Context()))
	c.wantNothingLeft()
}

// reboot leaves of the node what a reboot leaves: the disk. Links, rules, processes, /run and the
// boot id are gone.
func (c *containerd) reboot() {
	c.t.Helper()
	c.endShims()
	c.node.Sh("ip link del group 7201") // a namespace that something still holds has its veth for longer
	for _, table := range []string{"inet", "bridge"} {
		c.node.Sh("nft delete table " + table + " podnet")
	}
	for _, link := range []string{"cni0", "podnet.1"} {
		c.node.Sh("ip link del " + link)
	}
	for _, line := range []string{"-t nat -D POSTROUTING -j PODNET-MASQUERADE", "-t nat -F PODNET-MASQUERADE", "-t nat -X PODNET-MASQUERADE",
		"-D FORWARD -j PODNET-FORWARD", "-F PODNET-FORWARD", "-X PODNET-FORWARD"} {
		c.node.Execute(append([]string{"iptables", "-w"}, strings.Fields(line)...)...) // masquerade's jump has a comment or not
		c.node.Execute(append([]string{"ip6tables", "-w"}, strings.Fields(line)...)...)
	}
	must(c.t, os.RemoveAll(c.node.Path("/run")))
	must(c.t, os.MkdirAll(c.node.Path("/run/podnet"), 0o755))

	const id = "/proc/sys/kernel/random/boot_id"
	other := filepath.Join(c.t.TempDir(), "boot_id")
	must(c.t, os.WriteFile(other, []byte("5e5e5e5e-0000-4000-8000-000000000001\n"), 0o444))
	must(c.t, unix.Mount(other, id, "", unix.MS_BIND, ""))
	c.t.Cleanup(func() { _ = unix.Unmount(id, unix.MNT_DETACH) }) // the mount namespace ends with the tests
}

// endShims ends what runs in the sandboxes, unmounts what they had, and empties containerd's
// directory of volatile state.
func (c *containerd) endShims() {
	c.t.Helper()
	for _, stat := range glob(c.t, "/proc/[0-9]*/cmdline") {
		line, _ := os.ReadFile(stat) // it may have ended
		if strings.Contains(string(line), "containerd-shim") && strings.Contains(string(line), c.dir) {
			var pid int
			_, err := fmt.Sscanf(stat, "/proc/%d/", &pid)
			must(c.t, err)
			must(c.t, unix.Kill(-pid, unix.SIGKILL))
		}
	}
	c.closeForgotten()
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	must(t, err)
	return paths
}
