package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/tracer"
)

// work is what an operation fails in: a command of podnetctl, from a state of the node.
func work(of int) change {
	name := []string{"apply: first", "apply: edit", "teardown", "apply --confirm", "confirm", "rollback"}[of]
	all := changes()
	return all[slices.IndexFunc(all, func(c change) bool { return c.name == name })]
}

// cells are the marks of a row of the matrix, by errno.
type cells map[syscall.Errno]string

type matrix struct {
	mu   sync.Mutex
	rows map[string]cells
}

// Each operation, failing with each errno: podnetctl says so, the status has the right conditions,
// whatever does not depend on it is in place, and when the fault is gone the same command ends in
// what it ends in without a fault.
func TestFaultMatrix(t *testing.T) {
	if !tracer.CanFail {
		t.Skip("faults are put into the registers of amd64")
	}
	m := matrix{rows: map[string]cells{}}
	t.Run("all", func(t *testing.T) {
		for i, o := range operations() {
			if !lab.InShare(i, 4) {
				continue
			}
			t.Run(o.name, func(t *testing.T) {
				t.Parallel()
				row := faultRow(t, o)
				m.mu.Lock()
				defer m.mu.Unlock()
				m.rows[o.name] = row
			})
		}
	})
	m.print(t)
}

// faultRow tries one operation with every errno; in a short run with one of them, another for each
// operation and each share.
func faultRow(t *testing.T, o operation) cells {
	row := cells{}
	n := newTarget(t, shapes()[1])
	c := work(o.work)
	c.begin(n)
	before := n.settled()
	if out, err := n.Run(t.Context(), c.work(n)); err != nil || out.Code != 0 {
		t.Fatalf("without a fault: %+v, %v", out, err)
	}
	golden := n.settled()
	for i, errno := range errnos() {
		if !lab.InShare(i+len(o.name), len(errnos())) {
			continue
		}
		c.begin(n)
		if err := n.becomes(before); err != nil {
			t.Fatalf("the state to begin with is another one:\n%v", err)
		}
		row[errno] = "ok"
		done, err := fails1(n, c, o, errno, before, golden)
		if err := errors.Join(err, heals(n, c, o, done, golden)); err != nil {
			row[errno] = "FAIL"
			t.Errorf("%s: %v", unix.ErrnoName(errno), err)
		}
	}
	return row
}

// fails1 runs the work with the fault and looks at what is said and what is there; done: the fault
// has passed, and the work is done all the same.
func fails1(n *target, c change, o operation, errno syscall.Errno, before, golden string) (done bool, err error) {
	f := fault{operation: o, errno: errno}
	out, err := f.tracer().Run(n.Namespace, c.work(n))
	switch {
	case err != nil:
		return false, err
	case f.count == 0:
		return false, errors.New("the operation was never tried: there is nothing to fail")
	case out.Code == 0 && f.passing():
		return true, nil
	}
	return false, n.failed(o, errno, out, before, golden)
}

// failed says what is wrong about the way in which a work has failed.
func (n *target) failed(o operation, errno syscall.Errno, out tracer.Outcome, before, golden string) error {
	switch {
	case out.Code != 1 && out.Code != 2:
		return fmt.Errorf("exit code %d: %s", out.Code, out.Output)
	case strings.Contains(out.Output, "panic") || strings.Contains(out.Output, "goroutine "):
		return errors.New(out.Output)
	case !says(out.Output, errno.Error(), unix.ErrnoName(errno), "did not converge"):
		return fmt.Errorf("does not say what happened: %s", out.Output)
	case o.early:
		return lab.SameState(withoutFiles(before), withoutFiles(n.everything()))
	case o.late:
		return lab.SameState(withoutFiles(golden), withoutFiles(n.everything()))
	case o.work == tearingDown:
		return nil
	}
	if err := n.left(o); err != nil {
		return err
	}
	return n.reported(o)
}

// says looks for one of some words in text whose lines may be broken anywhere.
func says(text string, words ...string) bool {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, strings.ToLower(w)) })
}

func withoutFiles(everything string) string {
	_, network, _ := strings.Cut(everything, "\n# ip ")
	return network
}

// ipv6Routes are those with a preferred source, an address of the bridge: the kernel takes none
// before it has the address.
const ipv6Routes = "IPv6 routes"

// left says what is still to be done although it does not depend on the operation.
func (n *target) left(o operation) error {
	out := n.Podnetctl("diff", "-o", "json")
	var plan struct {
		Steps []struct{ Op, Kind, Name string }
	}
	if err := json.Unmarshal([]byte(out.Stdout), &plan); err != nil {
		return fmt.Errorf("diff: %w: %s%s", err, out.Stdout, out.Stderr)
	}
	for _, s := range plan.Steps {
		sourced := s.Kind == "route" && strings.Contains(s.Name, ":") && slices.Contains(o.remains, ipv6Routes)
		if !sourced && !slices.Contains(o.remains, s.Kind) {
			return fmt.Errorf("%s %s %s is not done, although it does not depend on what fails", s.Op, s.Kind, s.Name)
		}
	}
	if len(plan.Steps) == 0 && !o.status {
		return errors.New("nothing is left to do: the fault had no consequence")
	}
	return nil
}

// reported compares the status with what the operation's failure means.
func (n *target) reported(o operation) error {
	if o.status {
		return nil // it is the status that could not be written
	}
	s, err := n.Status()
	if err != nil {
		return err
	}
	ready := "True"
	if o.own {
		ready = "False"
	}
	if s.InSync || s.Condition("Degraded").Status != "True" || s.Condition("Ready").Status != ready {
		return fmt.Errorf("in sync %v, want Ready %s and Degraded True: %+v", s.InSync, ready, s.Conditions)
	}
	return nil
}

// heals repeats the work without the fault, or what makes good for it.
func heals(n *target, c change, o operation, done bool, golden string) error {
	again := func() error {
		out, err := n.Run(n.t.Context(), c.work(n))
		if err == nil && out.Code != 0 {
			err = fmt.Errorf("%+v", out)
		}
		return err
	}
	switch {
	case o.work == confirming, o.work == rollingBack: // the trial may have ended all the same
		again = func() error { return c.again(n) }
	case o.work == trying && (done || !o.early): // it has begun
		again = func() error { return n.succeeds("apply") }
	}
	if err := again(); err != nil {
		return fmt.Errorf("when the fault is gone: %w", err)
	}
	if err := n.becomes(golden); err != nil {
		return fmt.Errorf("when the fault is gone: %w", err)
	}
	return nil
}

func (m *matrix) print(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s", "fails with")
	for _, e := range errnos() {
		fmt.Fprintf(&b, "%8s", unix.ErrnoName(e))
	}
	bad, count := 0, 0
	for _, o := range operations() {
		fmt.Fprintf(&b, "\n%-32s", o.name)
		for _, e := range errnos() {
			mark := m.rows[o.name][e]
			fmt.Fprintf(&b, "%8s", mark)
			if mark != "" {
				count++
			}
			if mark == "FAIL" {
				bad++
			}
		}
	}
	fmt.Fprintf(&b, "\n%d faults in %d operations, %d of them mishandled\n", count, len(operations()), bad)
	report(t, b.String())
}
