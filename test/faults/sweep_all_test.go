package faults

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/tracer"
	"golang.org/x/sys/unix"
)

// point is a place to kill at: before or after the nth call that changes something.
type point struct {
	n     int
	after bool
}

func (p point) String() string {
	if p.after {
		return fmt.Sprintf("after call %d", p.n)
	}
	return fmt.Sprintf("before call %d", p.n)
}

// killAt runs a command and kills it at a point. A daemon that comes to its status without being
// killed is told to stop; what it does from then on has no points.
func (n *target) killAt(cmd *exec.Cmd, p point) (out tracer.Outcome, where string, err error) {
	calls, done := 0, false
	var nth *tracer.Call // others may be entered before it is left
	t := tracer.Tracer{
		Enter: func(c *tracer.Call) tracer.Verdict {
			if done || !sweeps(c) {
				return tracer.Verdict{}
			}
			if calls++; calls == p.n {
				nth, where = c, describe(c)
			}
			return tracer.Verdict{Kill: calls == p.n && !p.after}
		},
		Leave: func(c *tracer.Call) tracer.Verdict {
			kill := p.after && c == nth && !done
			if c.Nr == unix.SYS_RENAMEAT && c.Path() == n.Path(lab.StatusPath) && cmd.Args[0] == lab.Program("podnetd") {
				done = true
				_ = unix.Kill(cmd.Process.Pid, unix.SIGTERM) // it stands still, and so is there
			}
			return tracer.Verdict{Kill: kill}
		},
	}
	out, err = t.Run(n.Namespace, cmd)
	return out, where, err
}

// sweeps are the calls that a sweep kills at: all that change something, and the start of a program
// that does. That a lock is taken is no change.
func sweeps(c *tracer.Call) bool {
	return c.Nr == unix.SYS_EXECVE || c.Changes() && c.Nr != unix.SYS_FLOCK
}

// describe tells a call in a failure.
func describe(c *tracer.Call) string {
	if messages := c.Netlink(); len(messages) > 0 {
		return fmt.Sprintf("netlink protocol %d, type %d and %d more", messages[0].Protocol, messages[0].Type, len(messages)-1)
	}
	return fmt.Sprintf("system call %d, %s", c.Nr, c.Path())
}

// Whatever call podnetctl or podnetd is killed before or after: no file is half written, and the
// same command again, or a restart, ends in exactly what it ends in without a kill, in the kernel
// and in the files, foreign objects included.
func TestKillSweep(t *testing.T) {
	table := &board{title: "kill -9 of", columns: [3]string{"kill points", "recoveries", "failures"}, lines: map[string]tally{}}
	t.Run("all", func(t *testing.T) {
		for i, s := range shapes() {
			for j, c := range changes() {
				if !lab.InShare(i+j, len(shapes())) {
					continue
				}
				t.Run(c.name+", "+s.name, func(t *testing.T) {
					t.Parallel()
					table.add(c.name+", "+s.name, sweep(t, s, c))
				})
			}
		}
	})
	report(t, table.text())
}

// every is how many points lie between those that a short run tries; not a multiple of two, so that
// it sees both sides.
const every = 97

func sweep(t *testing.T, s shape, c change) (sum tally) {
	n := newTarget(t, s)
	c.begin(n)
	before := n.settled()
	if out, _, err := n.killAt(c.work(n), point{}); err != nil || out.Code != 0 {
		t.Fatalf("without a kill: %+v, %v", out, err)
	}
	if err := c.again(n); err != nil {
		t.Fatalf("without a kill: %v", err)
	}
	golden := n.settled()
	begin, step := lab.Share()%every, every
	if lab.Full() {
		begin, step = 0, 1
	}
	for i := begin; ; i += step {
		p := point{i/2 + 1, i%2 == 1}
		c.begin(n)
		if err := n.becomes(before); err != nil {
			t.Fatalf("the state to begin with is another one:\n%v", err)
		}
		out, where, err := n.killAt(c.work(n), p)
		switch {
		case err == nil && !out.Killed && out.Code != 0:
			t.Fatalf("not killed %s, and fails: %+v", p, out)
		case err == nil && !out.Killed && where != "": // the command has ended while one that it started was in that call
			continue
		case err == nil && !out.Killed:
			return sum
		}
		sum.points++
		sum.kills++
		if err := recovers(n, c, golden, err); err != nil {
			t.Errorf("killed %s (%s): %v", p, where, err)
			if sum.leaks++; sum.leaks > enough {
				return sum
			}
		}
	}
}

func recovers(n *target, c change, golden string, err error) error {
	if err == nil {
		err = n.half()
	}
	if err == nil {
		err = c.again(n)
	}
	if err == nil {
		err = n.becomes(golden)
	}
	return err
}
