package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace, held by a bind mount under /run/netns so that `ip -n` and
// `nsenter --net=` find it.
type Namespace struct {
	Name string // of the file in /run/netns
	Path string // what a runtime passes as CNI_NETNS
}

// newNamespace makes one, its lo down. The bind mount lives in the lab's private mount namespace
// and goes with it.
func newNamespace(name string) (*Namespace, error) {
	ns := &Namespace{Name: name, Path: filepath.Join(netnsDir, name)}
	f, err := os.OpenFile(ns.Path, os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return nil, err
	}
	f.Close()
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, as it is in another namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- err
			return
		}
		made <- unix.Mount(threadNetns(), ns.Path, "", unix.MS_BIND, "")
	}()
	if err := <-made; err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	return ns, nil
}

func threadNetns() string { return fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()) }

// Close lets go of the namespace; it ends when the last process in it does. Closing one twice is
// fine.
func (ns *Namespace) Close() error {
	if err := unix.Unmount(ns.Path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", ns.Path, err)
	}
	if err := os.Remove(ns.Path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// Do calls f on a thread in the namespace. What f starts or opens is in the namespace too: a
// process, a socket, a file of /proc/sys/net. f must not start goroutines that rely on it.
func (ns *Namespace) Do(f func() error) error {
	there, err := os.Open(ns.Path)
	if err != nil {
		return err
	}
	defer there.Close()
	runtime.LockOSThread()
	home, err := os.Open(threadNetns())
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter %s: %w", ns.Name, err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave %s: %w", ns.Name, back)) // the thread stays locked, and so dies with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// Output is what a finished command left.
type Output struct {
	Stdout, Stderr string
	Code           int // exit code; 128 and the signal's number if one ended it
	Took           time.Duration
}

// Run runs a command in the namespace and waits for it. The error says that it could not run at
// all; how it ended is in Output.
func (ns *Namespace) Run(ctx context.Context, cmd *exec.Cmd) (Output, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := ns.Do(cmd.Start); err != nil {
		return Output{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // gone already: nothing to stop
	defer stop()
	err := cmd.Wait()
	out := Output{Stdout: stdout.String(), Stderr: stderr.String(), Took: time.Since(begin)}
	if cmd.ProcessState == nil {
		return out, err
	}
	out.Code = exitCode(waitStatus(cmd))
	if ctx.Err() != nil {
		return out, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), ctx.Err())
	}
	return out, nil
}

// commandTimeout is generous: it only keeps a hanging command from hanging the tests.
const commandTimeout = time.Minute

// Exec runs a command in the namespace and returns its standard output; an exit code other than 0
// is an error with what it said.
func (ns *Namespace) Exec(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	out, err := ns.Run(ctx, exec.Command(args[0], args[1:]...))
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("%s: exit code %d: %s", strings.Join(args, " "), out.Code,
			strings.TrimSpace(out.Stderr+out.Stdout))
	}
	return out.Stdout, err
}

// Batch feeds lines to one process of a tool that has -batch, such as ip, bridge or ip -6.
func (ns *Namespace) Batch(tool string, lines ...string) error {
	_, err := ns.batch(tool, lines...)
	return err
}

// batch is Batch, and returns what the tool printed.
func (ns *Namespace) batch(tool string, lines ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	args := append(strings.Fields(tool), "-batch", "-")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := ns.Run(ctx, cmd)
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("%s -batch: %s", tool, strings.TrimSpace(out.Stderr+out.Stdout))
	}
	return out.Stdout, err
}

// Sh is Exec for a line of words without quotes.
func (ns *Namespace) Sh(line string) (string, error) { return ns.Exec(strings.Fields(line)...) }
