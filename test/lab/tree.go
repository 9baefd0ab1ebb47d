package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// machineID is that of every tree: without one systemd would take the first boot for an
// installation and enable units.
const machineID = "0123456789abcdef0123456789abcdef"

// Tree is a copy-on-write view of this machine's own file system, for what has to be installed or
// booted: the caller may do with it what he likes, and it vanishes with the test. Of the machine it
// has the programs and the package database, and nothing that an administrator enabled or
// configured for systemd, podnet, containerd or CNI. Nothing is mounted in it.
func Tree(t TB, hostname string) string {
	t.Helper()
	Need(t)
	dir, err := os.MkdirTemp(tempDir, "tree")
	if err == nil {
		err = overlay("/", dir, filepath.Join(dir, "tree"))
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	tree := filepath.Join(dir, "tree")
	t.Cleanup(func() {
		_ = unix.Unmount(tree, unix.MNT_DETACH) // what is left goes with the namespace
		_ = os.RemoveAll(dir)
	})
	for _, foreign := range []string{
		"etc/systemd/system", "etc/systemd/network", "etc/systemd/networkd.conf.d", "etc/fstab", "etc/podnet",
		"etc/default/podnetd", "etc/cni",
		"var/lib/podnet", "var/lib/cni", "usr/lib/podnet", "opt/cni", "usr/lib/cni", "etc/containerd",
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

// overlay mounts a view of lower at target. What is written there goes to dir; what is mounted in
// lower stays out.
func overlay(lower, dir, target string) error {
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, d := range []string{upper, work, target} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", target, "overlay", 0,
		fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)); err != nil {
		return fmt.Errorf("mount a copy-on-write view of %s: %w", lower, err)
	}
	return nil
}
