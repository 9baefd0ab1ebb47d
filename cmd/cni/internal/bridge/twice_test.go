package bridge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// Two ADDs of one attachment at once, by a runtime that did not wait for the first: whatever
// becomes of them, a pod that has an address has its lease.
func TestAddTwice(t *testing.T) {
	other := t.TempDir() // host-local by a name that the bridge plugin has to execute
	if err := os.Symlink(lab.Program("cni/host-local"), filepath.Join(other, "other")); err != nil {
		t.Fatal(err)
	}
	for _, ipam := range []string{"host-local", "other"} {
		t.Run(ipam, func(t *testing.T) {
			h := newHost(t)
			conf := strings.Replace(h.conf(`"isGateway":true`, ranges46), `"host-local"`, `"`+ipam+`"`, 1)
			for i := range 4 {
				p := h.NewPod(fmt.Sprint("p", i))
				add := on(p, conf).With("ADD")
				add.Path = other + ":" + lab.Program("cni")
				ended := make(chan error, 2)
				for range 2 {
					go func() { _, err := h.Try(add); ended <- err }()
				}
				first, second := <-ended, <-ended
				if first != nil && second != nil {
					t.Errorf("both ADDs failed: %v; %v", first, second)
				}
				shown, err := p.Exec("ip", "-o", "addr", "show", "dev", "eth0", "scope", "global")
				if err != nil {
					t.Error(err)
				}
				for line := range strings.Lines(shown) {
					a, _, _ := strings.Cut(strings.Fields(line)[3], "/")
					owner, err := os.ReadFile(filepath.Join(h.DataDir(), "net", a))
					if err != nil || !strings.HasPrefix(string(owner), p.ID) {
						t.Errorf("%s has %s, whose lease is %q, %v (%v; %v)", p.ID, a, owner, err, first, second)
					}
				}
			}
		})
	}
}

// An ADD touches nothing while another one of the pod is at work, which may still fail and take back
// what both have.
func TestAddWaits(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := h.conf(`"isGateway":true`, ranges4)
	pod, err := os.Open(on(p, conf).Netns)
	if err != nil {
		t.Fatal(err)
	}
	defer pod.Close()
	if err := unix.Flock(int(pod.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := h.Try(on(p, conf).With("ADD")); ended <- err }()
	awaitWaiter(t, pod)
	cnihost.Same(t, "leases while another ADD is at work", h.LeaseFiles(), "")
	if err := unix.Flock(int(pod.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	cnihost.Same(t, "leases", h.LeaseFiles(), "10.1.0.2")
}

// A DEL during an ADD of the same attachment waits for it and takes away what it has made.
func TestDelDuringAdd(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := h.conf(`"isGateway":true`, ranges4)
	h.Succeed(on(p, conf).With("ADD"))
	lease, err := os.Open(h.DataDir() + "/net/10.1.0.2")
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	if err := unix.Flock(int(lease.Fd()), unix.LOCK_EX); err != nil { // as an ADD does until it ends
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := h.Try(on(p, conf).With("DEL")); ended <- err }()
	awaitWaiter(t, lease)
	cnihost.Same(t, "leases while the ADD is at work", h.LeaseFiles(), "10.1.0.2")
	if err := h.Ping("10.1.0.2"); err != nil {
		t.Error(err)
	}
	if err := unix.Flock(int(lease.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	cnihost.Same(t, "leases", h.LeaseFiles(), "")
	cnihost.Same(t, "ports", h.Sh("ip -o link show master br0"), "")
}

// A GC takes nothing from under an ADD that is at work, and the next one takes what the runtime
// still does not know.
func TestGCDuringAdd(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := h.conf(`"isGateway":true,"podnet":{}`, ranges4)
	h.Succeed(on(p, conf).With("ADD"))
	lease, err := os.Open(h.DataDir() + "/net/10.1.0.2")
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	if err := unix.Flock(int(lease.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	h.gc(conf, `"cni.dev/valid-attachments":[]`)
	h.Succeed(cnihost.Call{Plugin: "host-local", Verb: "GC", Conf: withKeys(conf, `"cni.dev/valid-attachments":[]`)})
	if err := h.Ping("10.1.0.2"); err != nil {
		t.Error(err)
	}
	cnihost.Same(t, "leases", h.LeaseFiles(), "10.1.0.2")
	if err := unix.Flock(int(lease.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	h.gc(conf, `"cni.dev/valid-attachments":[]`)
	cnihost.Same(t, "leases", h.LeaseFiles(), "")
	cnihost.Same(t, "ports", h.Sh("ip -o link show master br0"), "")
}

// awaitWaiter returns when somebody waits for the lock of a file.
func awaitWaiter(t *testing.T, f *os.File) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", st.Ino)
	for end := time.Now().Add(lab.Patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Skip(err)
		}
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "->") && strings.Contains(line, inode) {
				return
			}
		}
	}
	t.Fatal("nobody waits for the lock")
}
