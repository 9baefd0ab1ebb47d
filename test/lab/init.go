package lab

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// runDir is where a lab keeps everything: a tmpfs that vanishes with the mount namespace.
const (
	runDir    = "/run"
	shadowDir = runDir + "/shadow"
	netnsDir  = runDir + "/netns" // where `ip -n NAME` and `nsenter --net=` look
	tempDir   = runDir + "/tmp"
)

// initMain is process 1: it prepares the mounts, has a child run the tests, and reaps every orphan
// until that child ends. The child is another process because exec.Cmd waits for children of its
// own, which a reaper would steal.
func initMain() int {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	os.Setenv(stageEnv, "worker")
	os.Setenv("TMPDIR", tempDir)
	worker, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: cannot execute this program again:", err)
		return 1
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	go func() {
		for s := range signals {
			_ = unix.Kill(worker.Pid, s.(syscall.Signal)) // gone: the loop below notices
		}
	}()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		if err != nil && err != unix.EINTR {
			fmt.Fprintln(os.Stderr, "lab: wait:", err)
			return 1
		}
		if pid == worker.Pid {
			return exitCode(ws)
		}
	}
}

// prepare makes the mounts private, then gives this process namespace its own /proc and a /run that
// starts empty: no name of the host's namespaces, no xtables lock shared with anyone, nothing to
// clean up. What tools write to the machine's own directories vanishes as well.
func prepare() error {
	_, err := os.Stat(shadowDir)
	nested := err == nil // in a lab's view already, and two views upon another are as many as the kernel allows
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"lab", runDir, "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	} {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	for _, dir := range []string{netnsDir, tempDir, filepath.Join(runDir, "lock")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if !nested {
		if err := shadow("/etc", "/usr", "/var", "/opt"); err != nil {
			return err
		}
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// shadow covers directories of the machine with views that take what is written to them along when
// they vanish: containerd and podman keep files below /var whatever they are told, and rpmlint
// unpacks packages to where their paths point. One that the caller works in, or may not write to,
// stays as it is.
func shadow(dirs ...string) error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if unix.Access(dir, unix.W_OK) != nil || strings.HasPrefix(here, dir+"/") {
			continue
		}
		if err := overlay(dir, filepath.Join(shadowDir, dir), dir); err != nil {
			return err
		}
	}
	return nil
}

// loopbackUp sets lo up in the calling thread's network namespace, by ioctl: a package that only
// wants isolation needs no `ip` for it.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
