package faults

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/tracer"
)

// wallClock is the wall clock of the programs that run by it, years away from the machine's. No
// other clock differs.
type wallClock struct{ years atomic.Int64 }

const year = 365 * 24 * 3600 // seconds

func (w *wallClock) tracer() *tracer.Tracer {
	return &tracer.Tracer{
		Clocks: true,
		Enter:  func(*tracer.Call) tracer.Verdict { return tracer.Verdict{} },
		Leave: func(c *tracer.Call) tracer.Verdict {
			c.Later(w.years.Load() * year)
			return tracer.Verdict{}
		},
	}
}

func TestWallClockMoves(t *testing.T) {
	requireClocks(t)
	var w wallClock
	for _, years := range []int64{0, 12, -30} {
		w.years.Store(years)
		out, err := w.tracer().Run(lab.NewNamespace(t, "clock"), exec.Command("date", "+%Y"))
		if want := fmt.Sprint(int64(time.Now().Year()) + years); err != nil || years != 0 && abs(strings.TrimSpace(out.Output), want) > 1 {
			t.Errorf("%d years away it is %q, %v", years, out.Output, err)
		}
	}
}

// abs is how far two years are apart: leap days make one of a long time.
func abs(have, want string) int {
	var x, y int
	_, _ = fmt.Sscan(have, &x)
	_, _ = fmt.Sscan(want, &y)
	return max(x-y, y-x)
}

func requireClocks(t *testing.T) {
	if !tracer.CanFail {
		t.Skip("only amd64's clocks can be watched")
	}
}

// The wall clock steps by years, forth and back, under a running daemon: what is announced heals,
// what is not heals at the resync, files come into force, and podnetctl, which has the same clock,
// calls the node in sync.
func TestClockSteps(t *testing.T) {
	requireClocks(t)
	t.Parallel()
	n := newTarget(t, shapes()[1])
	var w wallClock
	end := w.follow(n)
	next := map[bool]string{true: n.next, false: n.before}
	steps := []int64{10, -20}
	if lab.Full() {
		steps = []int64{0, 10, -20, -9, 0}
	}
	for i, years := range steps {
		w.years.Store(years)
		for what, harm := range map[string][2]string{
			"what is announced":     {"ip route del 10.244.1.0/24", "ip route show 10.244.1.0/24"},
			"what is not announced": {"sysctl -q -w net.ipv6.conf.cni0.accept_dad=1", "grep -x 0 /proc/sys/net/ipv6/conf/cni0/accept_dad"},
		} {
			n.Sh(harm[0])
			lab.Eventually(t, lab.Patience, fmt.Sprintf("%s heals, %d years away", what, years), func() error {
				out, err := n.Namespace.Sh(harm[1])
				if err == nil && out == "" {
					err = errors.New("not yet")
				}
				return err
			})
		}
		n.Write(next[i%2 == 0])
		n.AwaitInForce()
		lab.Eventually(t, lab.Patience, fmt.Sprintf("status, %d years away", years), func() error {
			return w.run(n, "status")
		})
	}
	end()
	report(t, fmt.Sprintf("wall clock at %+d years in turn: everything heals, comes into force and counts as in sync\n", steps))
}

// follow has a daemon with this clock bring the first topology into force; end stops it.
func (w *wallClock) follow(n *target) (end func()) {
	n.t.Helper()
	n.Write(n.before)
	ended := make(chan error, 1)
	cmd := n.podnetd()
	cmd.Args = append(cmd.Args, "--resync", "2s")
	go func() {
		out, err := w.tracer().Run(n.Namespace, cmd)
		if err == nil && out.Code != 0 {
			err = fmt.Errorf("exit code %d", out.Code)
		}
		ended <- err
	}()
	n.AwaitInForce()
	return func() {
		s, err := n.Status()
		if err != nil {
			n.t.Fatal(err)
		}
		_ = unix.Kill(s.Daemon.PID, unix.SIGTERM)
		if err := <-ended; err != nil {
			n.t.Error(err)
		}
	}
}

// run has podnetctl do something by this clock; what it leaves running is killed, so that the
// daemon is the one to end trials.
func (w *wallClock) run(n *target, args ...string) error {
	out, err := w.tracer().Run(n.Namespace, n.ctl(args...))
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("podnetctl %v: exit code %d: %s", args, out.Code, out.Output)
	}
	return err
}

// A trial goes on while the wall clock steps over its end and back before its beginning, and ends
// in time although the clock says that it has not begun.
func TestClockStepsOnTrial(t *testing.T) {
	requireClocks(t)
	t.Parallel()
	n := newTarget(t, shapes()[1])
	n.WriteFile("/next.yaml", n.next)
	var w wallClock
	end := w.follow(n)
	steps := []int64{10, -20}
	for _, years := range steps {
		w.years.Store(0)
		if err := w.run(n, "apply", "--confirm", "1h", n.Path("/next.yaml")); err != nil {
			t.Fatal(err)
		}
		w.years.Store(years)
		n.Sh("ip route del 10.244.1.0/24")
		lab.Eventually(t, lab.Patience, "a pass after the step", func() error { return n.succeeds("diff") })
		n.AwaitCondition("ConfirmPending", "True")
		if have, err := n.ReadFile(lab.TopologyPath); err != nil || have != n.next {
			t.Errorf("%d years away the trial is over: %v", years, err)
		}
		if err := w.run(n, "rollback"); err != nil {
			t.Error(err)
		}
		w.years.Store(0)
		if err := w.run(n, "apply", "--confirm", "2s", n.Path("/next.yaml")); err != nil {
			t.Fatal(err)
		}
		w.years.Store(years)
		n.cameBack(n.before)
		n.AwaitCondition("ConfirmPending", "False")
	}
	end()
	report(t, fmt.Sprintf("wall clock at %+d years under a trial: it goes on, can be rolled back, and ends at its deadline\n", steps))
}
