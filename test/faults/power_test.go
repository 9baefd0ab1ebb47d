package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/cnihost"
)

// rebooted has the kernel of this lab say that it is another boot, until the test ends: no test of
// this file is parallel.
func rebooted(t *testing.T) {
	t.Helper()
	const path = "/proc/sys/kernel/random/boot_id"
	other := filepath.Join(t.TempDir(), "boot_id")
	if err := os.WriteFile(other, []byte("11111111-2222-3333-4444-555555555555\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(other, path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
}

// torn is what a power cut makes of files that were not synced.
var torn = map[string]func(path string) error{
	"whole":         func(string) error { return nil },
	"empty":         func(path string) error { return os.Truncate(path, 0) },
	"half":          func(path string) error { return os.Truncate(path, 3) },
	"full of zeros": func(path string) error { return os.WriteFile(path, make([]byte, 20), 0o600) },
	"missing":       os.Remove,
}

// tear damages what the plugins wrote; fsynced files are spared, as the disk has them.
func tear(t *testing.T, h *cnihost.Host, how func(string) error, also ...string) {
	t.Helper()
	paths := []string{}
	for _, name := range append(h.Leases("net"), "last_reserved_ip.0", "last_reserved_ip.1") {
		paths = append(paths, filepath.Join(h.Dir, "net", name))
	}
	for _, pattern := range also {
		found, err := filepath.Glob(filepath.Join(h.Dir, "net", pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		if err := how(path); err != nil {
			t.Fatal(err)
		}
	}
}

func fill(h *cnihost.Host) {
	for i := range poolSize {
		h.MustAdd(&cnihost.Pod{Namespace: h.Namespace, ID: fmt.Sprintf("before-the-cut-%d", i), IfName: "eth0"}, local(h))
	}
}

// After a power cut the pool is whole, whatever became of the files: the pods that had the
// addresses are gone.
func TestPowerCut(t *testing.T) {
	for name, how := range torn {
		t.Run("leases "+name, func(t *testing.T) {
			h := newHost(t)
			fill(h)
			tear(t, h, how)
			rebooted(t)
			wholePool(t, h, 0)
		})
	}
	t.Run("the index missing", func(t *testing.T) {
		h := newHost(t)
		fill(h)
		tear(t, h, os.Remove, ".podnet/owners/*")
		rebooted(t)
		wholePool(t, h, 0)
	})
	t.Run("the directory missing", func(t *testing.T) {
		h := newHost(t)
		fill(h)
		if err := os.RemoveAll(filepath.Join(h.Dir, "net")); err != nil {
			t.Fatal(err)
		}
		rebooted(t)
		wholePool(t, h, 0)
	})
}

// A plugin that makes a lease before it writes it, killed in between, leaves an empty one beside
// podnet's; the address is free again at the next call, in the same boot.
func TestEmptyLeaseOfOthers(t *testing.T) {
	h := newHost(t)
	held := &cnihost.Pod{Namespace: h.Namespace, ID: "held", IfName: "eth0"}
	h.MustAdd(held, local(h))
	for _, name := range []string{"10.1.0.3", "10.1.0.5", "fd00:1::3"} {
		if err := os.WriteFile(filepath.Join(h.Dir, "net", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wholePool(t, h, 1)
	h.MustDel(held, local(h))
	wholePool(t, h, 0)
}

// A record that says nothing leaves the leases alone, as nothing says when they were made.
func TestTornRecord(t *testing.T) {
	for name, how := range torn {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			fill(h)
			if err := how(filepath.Join(h.Dir, "net/.podnet/record")); err != nil {
				t.Fatal(err)
			}
			wholePool(t, h, poolSize)
			h.MustDel(&cnihost.Pod{Namespace: h.Namespace, ID: "before-the-cut-0", IfName: "eth0"}, local(h))
			wholePool(t, h, poolSize-1)
		})
	}
}
