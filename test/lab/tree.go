package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// machineID is that of every tree: without one systemd would take the first boot for an installation and enable units.
const machineID = "0123456789abcdef0123456789abcdef"

// Tree is a copy-on-write view of this machine's own file system, for what has to be installed or booted: the caller may
// do with it what he likes, and it vanishes with the test. Of the machine it has the programs and the package database, and
// nothing that an administrator enabled or configured for systemd, podnet or CNI. Nothing is mounted in it.
func Tree(t TB, hostname string) string {
	t.Helper()
	if !isolated {
		t.Fatalf("lab.Tree outside of lab.Isolate: call it from TestMain")
	}
	dir, err := os.MkdirTemp(tempDir, "tree")
	if err == nil {
		err = overlay(dir)
	}
	if err != nil {
		t.Fatalf("a copy-on-write view of the machine: %v", err)
	}
	tree := filepath.Join(dir, "tree")
	t.Cleanup(func() {
		_ = unix.Unmount(tree, unix.MNT_DETACH) // what is left goes with the namespace
		_ = os.RemoveAll(dir)
	})
	for _, foreign := range []string{
		"etc/systemd/system", "etc/systemd/network", "etc/systemd/networkd.conf.d", "etc/fstab", "etc/podnet", "etc/default/podnetd", "etc/cni",
		"var/lib/podnet", "var/lib/cni", "usr/lib/podnet", "opt/cni",
	} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(tree, foreign)))
	}
	err = errors.Join(err,
		os.MkdirAll(filepath.Join(tree, "etc/systemd/system"), 0o755),
		os.WriteFile(filepath.Join(tree, "etc/hostname"), []byte(hostname+"\n"), 0o644),
		os.WriteFile(filepath.Join(tree, "etc/machine-id"), []byte(machineID+"\n"), 0o444))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return tree
}

// overlay mounts / read-only below dir/upper at dir/tree. What is mounted on / stays out.
func overlay(dir string) error {
	for _, d := range []string{"upper", "work", "tree"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=/,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	return unix.Mount("overlay", filepath.Join(dir, "tree"), "overlay", 0, options)
}
