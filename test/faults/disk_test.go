package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/cnihost"
)

// mounted gives the host a file system of its own for the leases; it goes with the lab's mount
// namespace at the latest.
func mounted(t *testing.T, h *cnihost.Host, options string) {
	t.Helper()
	if err := unix.Mount("leases", h.Dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(h.Dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fails wants an error object that names the directory and what the kernel said, and a host as it
// was before.
func fails(t *testing.T, h *cnihost.Host, what string, err error, before, said string) {
	t.Helper()
	var f *cnihost.Fault
	if !errors.As(err, &f) || f.Garbled != "" || f.Code != 5 || !strings.Contains(f.Msg, said) || !strings.Contains(f.Msg, h.Dir) {
		t.Errorf("%s: %v; want code 5, %q and the path", what, err, said)
	}
	if err := cnihost.SameTraces(what, h.Traces(), before); err != nil {
		t.Error(err)
	}
}

// A file system with room for ever more files fails an ADD at each of the files that it makes, then
// not any more.
func TestNoSpace(t *testing.T) {
	refusals := 0
	for inodes := 2; ; inodes++ {
		h := newHost(t)
		mounted(t, h, fmt.Sprintf("nr_inodes=%d", inodes))
		h.MustAdd(&cnihost.Pod{Namespace: h.Pod().Namespace, ID: "bridge-maker", IfName: "eth0"}, bridged(h, cnihost.Object{"ipam": cnihost.Object{}}))
		before := h.Traces()
		p := h.Pod()
		_, err := h.Add(p, bridged(h, cnihost.Object{"isGateway": false, "isDefaultGateway": false}))
		if err == nil {
			break
		}
		refusals++
		fails(t, h, fmt.Sprintf("ADD with %d inodes", inodes), err, before, "no space left on device")
		if err := unix.Mount("", h.Dir, "", unix.MS_REMOUNT, "nr_inodes=1000"); err != nil {
			t.Fatal(err)
		}
		h.MustAdd(p, bridged(h, nil))
		h.MustDel(p, bridged(h, nil))
		wholePool(t, h, 0)
	}
	if refusals < 4 {
		t.Errorf("only %d refusals: the file system was never full", refusals)
	}
}

// Data that does not fit: files can be made, and stay empty.
func TestNoSpaceForData(t *testing.T) {
	h := newHost(t)
	mounted(t, h, "size=64k")
	first := h.Pod()
	h.MustAdd(first, bridged(h, nil))
	filler := filepath.Join(h.Dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	before := h.Traces()
	p := h.Pod()
	_, err := h.Add(p, bridged(h, nil))
	fails(t, h, "ADD", err, before, "no space left on device")
	h.MustDel(first, bridged(h, nil)) // needs no space
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	wholePool(t, h, 0)
}

// On a directory that cannot be written an ADD changes nothing, and a DEL says why it could not
// free the addresses, so that they are freed by the next one.
func TestReadOnly(t *testing.T) {
	h := newHost(t)
	mounted(t, h, "size=1m")
	first, p := h.Pod(), h.Pod()
	h.MustAdd(first, bridged(h, nil))
	before := h.Traces()
	if err := unix.Mount("", h.Dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := h.Add(p, bridged(h, nil))
	fails(t, h, "ADD", err, before, "read-only file system")
	if err := h.Del(first, bridged(h, nil)); err == nil || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("DEL: %v", err)
	}
	if err := unix.Mount("", h.Dir, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	h.MustDel(first, bridged(h, nil))
	wholePool(t, h, 0)
}

// Root without the right to override permissions, as in a hardened service, is refused by a
// directory's mode.
func TestNoPermission(t *testing.T) {
	h := newHost(t)
	h.MustAdd(h.Pod(), bridged(h, nil))
	p, before := h.Pod(), h.Traces()
	dir := filepath.Join(h.Dir, "net")
	for _, forbidden := range []string{dir, h.Dir} {
		if err := os.Chmod(forbidden, 0o000); err != nil {
			t.Fatal(err)
		}
		cmd := h.Verb("ADD", p, bridged(h, nil))
		cmd.Path, cmd.Args = bounded(t, cmd)
		_, err := h.Finish(cmd)
		if e := os.Chmod(forbidden, 0o755); e != nil {
			t.Fatal(e)
		}
		fails(t, h, "ADD with "+forbidden+" closed", err, before, "permission denied")
	}
	h.MustAdd(p, bridged(h, nil))
	h.MustDel(p, bridged(h, nil))
	wholePool(t, h, 1)
}

// bounded is the command without the capabilities that make root pass any mode.
func bounded(t *testing.T, cmd *exec.Cmd) (string, []string) {
	t.Helper()
	path, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal(err)
	}
	return path, append([]string{"setpriv", "--bounding-set=-dac_override,-dac_read_search"}, cmd.Args...)
}
