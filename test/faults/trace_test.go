package faults

import (
	"os/exec"

	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/tracer"
	"golang.org/x/sys/unix"
)

// traced is what became of a plugin under the tracer.
type traced struct {
	calls  int  // that may have changed something, of all its threads and children
	killed bool // by the tracer
	code   int  // exit code, if it was not
	stdout string
}

// trace runs a command and kills it with all that it started, as the end of a control group does,
// when it enters its nth system call that may change something: the kernel then does not carry the
// call out. n = 0 never kills. The state after that call is seen with n+1, so that n = 1, 2, …
// until nothing is killed any more has seen every state.
//
// It counts over all threads, which a Go program's calls wander among; strace's inject counts for
// each.
func trace(ns *lab.Namespace, cmd *exec.Cmd, n int) (traced, error) {
	calls := 0
	t := tracer.Tracer{Enter: func(c *tracer.Call) tracer.Verdict {
		if !pluginChanges(c) {
			return tracer.Verdict{}
		}
		calls++
		return tracer.Verdict{Kill: calls == n}
	}}
	out, err := t.Run(ns, cmd)
	return traced{calls, out.Killed, out.Code, out.Output}, err
}

// pluginChanges counts, beside what changes something, all that a plugin says: to the kernel, of
// which questions look like orders, and as its result.
func pluginChanges(c *tracer.Call) bool {
	switch c.Nr {
	case unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_SETSOCKOPT, unix.SYS_FSYNC:
		return true
	case unix.SYS_WRITE:
		return c.Args[0] == 1 || c.Changes()
	}
	return c.Changes()
}
