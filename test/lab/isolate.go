// Package lab is a cluster on one machine: every node a network namespace with a root directory and
// a podnetd of its own, joined by a switch that is a bridge in one more namespace. It runs the
// programs as their users do and looks at the kernel with the tools that administrators use, so
// that what it finds is what they would find.
package lab

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Runner is what Isolate runs in isolation; *testing.M is one.
type Runner interface{ Run() int }

// RunnerFunc lets a plain function be a Runner.
type RunnerFunc func() int

// Run calls f.
func (f RunnerFunc) Run() int { return f() }

// stageEnv tells a re-executed program which of its lives it is in; see Isolate.
const stageEnv = "PODNET_LAB_STAGE"

// isolated is true in the process that runs the tests; New refuses to work in any other, on the
// host's own network.
var isolated bool

// missing says why Isolate did not isolate; Need skips with it.
var missing string

// Need skips a test that needs a network namespace, mounts or processes of its own where Isolate
// could make none, or was not to, under -short. The other tests of the package run there.
func Need(t TB) {
	t.Helper()
	skipper, ok := t.(interface{ Skip(...any) })
	if missing != "" && ok {
		skipper.Skip(missing)
	}
	if !isolated {
		t.Fatalf("lab.Need outside of lab.Isolate: call it from TestMain")
	}
}

// Isolate runs r where nothing can leak and returns the exit code; a test package calls it from
// TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }
//
// programs are those of podnet's that it takes, such as podnetd or cni/bridge: without one of them
// nothing is run. Under -short, and where there is no right to make namespaces, r runs where it is,
// and Need skips the tests that call it. The program executes itself anew in namespaces of its own
// (network, mounts, processes), whose first process is a small init that has r run by a child. When
// that init ends, for whatever reason, the kernel kills what still runs in there and takes
// namespaces and mounts away. It dies with this process, even if this one is killed with SIGKILL,
// so there is no way to leave something behind. /run is a tmpfs of its own and os.TempDir lies in
// it; arguments, environment, working directory and the rest of the file system are the caller's.
// Without root it takes a user namespace.
func Isolate(r Runner, programs ...string) int {
	switch os.Getenv(stageEnv) {
	case "":
		if fuzzWorker() {
			break // started inside by the process that fuzzes, over descriptors that another init would not hand on
		}
		if short() {
			return inPlace(r, "needs namespaces of its own, which -short leaves out (make test)")
		}
		if err := RequirePrograms(programs...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return outside(r)
	case "init":
		return initMain()
	case "listen":
		return listenMain()
	case "dial":
		return dialMain()
	}
	os.Unsetenv(stageEnv)
	isolated = true
	return r.Run()
}

// fuzzWorker says that this process is one of those that try the inputs of a fuzz target.
func fuzzWorker() bool { return slices.Contains(os.Args, "-test.fuzzworker") }

// short reports whether the program is a test that was started with -short.
func short() bool {
	if !testing.Testing() {
		return false
	}
	flag.Parse()
	return testing.Short()
}

// inPlace runs r without isolation. Root first gives up what it could change the host's network
// with, for good.
func inPlace(r Runner, why string) int {
	if err := renounce(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	missing = why
	return r.Run()
}

// outside starts the init and stands in for it: signals go in, the exit code comes out.
func outside(r Runner) int {
	// The kernel ties the parent death signal to the thread that forked, so this goroutine keeps
	// its thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)

	cmd, err := startInit(os.Geteuid() != 0)
	if errors.Is(err, unix.EPERM) && os.Geteuid() == 0 {
		cmd, err = startInit(true) // root of a container, without the right to make namespaces
	}
	if err != nil {
		why := fmt.Sprintf("needs root, or user namespaces for ordinary users (user.max_user_namespaces, "+
			"kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns): %v", err)
		if testing.Testing() {
			return inPlace(r, why)
		}
		fmt.Fprintln(os.Stderr, "lab: this", why)
		return 1
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it may be gone already; Wait says so
		}
	}()
	_ = cmd.Wait() // its exit code says more than the error
	return exitCode(waitStatus(cmd))
}

func startInit(userNamespace bool) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), stageEnv+"=init")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // a terminal's ^C reaches this process only, which passes it on: once
	}
	if userNamespace {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return cmd, cmd.Start()
}

// waitStatus is how a command that has been waited for ended.
func waitStatus(cmd *exec.Cmd) syscall.WaitStatus { return cmd.ProcessState.Sys().(syscall.WaitStatus) }

// exitCode is the status as a shell would give it.
func exitCode(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
