package reconcile

import (
	"errors"
	"fmt"

	"github.com/hashicorp/go-multierror"
	"github.com/podnet/podnet/state"
)

// Applier carries out changes of one kind and leaves the outcome in each. kernel.Node is the real
// one.
type Applier interface {
	Apply(state.Kind, []*state.Change)
}

// Apply carries out the plan: first the deletions that make room, then what is missing or different
// in the order of creation, with the deletions that something of a later kind needs, last what
// nobody wants, backwards. A failed step does not stop independent ones; what depends on it is
// skipped and says so. The conflist depends on every part of the node itself. All errors are
// returned together.
//
// progress is told now and then how many of the steps have been seen to; nil: nobody wants to know.
func (p *Plan) Apply(node Applier, progress func(done, total int)) error {
	a := &applier{node: node, want: p.Want, failed: map[state.Key]error{}, total: len(p.Steps), progress: progress}
	for _, err := range p.Errors() {
		a.errs = multierror.Append(a.errs, err)
	}
	byKind := map[state.Kind][]*Step{}
	for _, s := range p.Steps {
		byKind[s.Kind] = append(byKind[s.Kind], s)
		if s.Result == Skipped {
			a.fail(s, s.Err)
		}
	}
	for k := state.KindCount - 1; k >= 0; k-- {
		a.makeRoom(state.Kind(k), byKind[state.Kind(k)])
	}
	for k := range state.Kind(state.KindCount) {
		a.put(k, byKind[k])
		a.remove(k, byKind[k], func(s *Step) bool { return s.soon })
	}
	for k := state.KindCount - 1; k >= 0; k-- {
		a.remove(state.Kind(k), byKind[state.Kind(k)], func(*Step) bool { return true })
	}
	return a.errs.ErrorOrNil()
}

type applier struct {
	node   Applier
	want   *state.Set
	failed map[state.Key]error
	own    error // the first failure of a part of the node itself
	errs   *multierror.Error

	done, total int
	progress    func(done, total int)
}

func (a *applier) fail(s *Step, err error) {
	// What could not be changed in place still carries what is on it, but a setting that was
	// refused is no ground for the next.
	if s.Op != state.Update || s.Replace != "" || s.Kind == state.KindSysctl {
		a.failed[s.Key()] = err
	}
	if a.own == nil && s.Kind.Own() {
		a.own = err
	}
	if !s.Waiting {
		a.errs = multierror.Append(a.errs, err)
	}
}

// makeRoom deletes what has to be made anew or stands in the way of something new.
func (a *applier) makeRoom(k state.Kind, steps []*Step) {
	for _, s := range steps {
		if s.Result != Planned || !s.first && s.Replace == "" {
			continue
		}
		c := &state.Change{Op: state.Delete, Kind: k, Have: s.Have}
		a.node.Apply(k, []*state.Change{c})
		switch {
		case c.Err != nil:
			s.Result, s.Err = Failed, c.Err
			a.fail(s, c.Err)
		case s.Op == state.Delete:
			s.Result = Done
		}
	}
}

// put makes and changes what is wanted of one kind, at once but for what waits for one of the same.
func (a *applier) put(k state.Kind, steps []*Step) {
	var batch []*Step
	change := func(s *Step) state.Change {
		if s.Replace != "" {
			return state.Change{Op: state.Create, Kind: k, Want: s.Want}
		}
		return s.Change
	}
	for _, s := range steps {
		if s.Op == state.Delete || s.Result != Planned {
			continue
		}
		if parent := s.Want.Parent(); parent.Kind == k && !parent.IsZero() {
			a.run(k, batch, change)
			batch = nil
		}
		if why := a.waits(s); why != nil {
			s.Result, s.Err, s.Waiting = Skipped, fmt.Errorf("%s %s: %w", k, s.Want.Name(), why), true
			a.fail(s, s.Err)
			continue
		}
		batch = append(batch, s)
	}
	a.run(k, batch, change)
}

// waits says what a step cannot be done without.
func (a *applier) waits(s *Step) error {
	if parent := s.Want.Parent(); !parent.IsZero() && a.failed[parent] != nil {
		return errors.New(waitsFor(s.Want))
	}
	if addr, sends := sourceOf(a.want, s.Want); sends && a.failed[addr.Key()] != nil {
		return errors.New(waitsForAddr(addr))
	}
	if s.Kind == state.KindConflist && a.own != nil {
		return errors.New(waitsForOwn)
	}
	return nil
}

// remove deletes what nobody wants of one kind, as far as it is due; what dies with its parent only
// takes note of the outcome.
func (a *applier) remove(k state.Kind, steps []*Step, due func(*Step) bool) {
	var batch []*Step
	for _, s := range steps {
		switch {
		case s.Op != state.Delete || s.Result != Planned || !due(s):
		case s.carried:
			s.Result = Done // checked, as everything is, by looking again
		default:
			batch = append(batch, s)
		}
	}
	a.run(k, batch, func(s *Step) state.Change { return s.Change })
}

// portion is how many changes are carried out between two reports of progress: some ten
// milliseconds' worth.
const portion = 4096

func (a *applier) run(k state.Kind, batch []*Step, change func(*Step) state.Change) {
	for len(batch) > 0 {
		n := min(len(batch), portion)
		a.runPortion(k, batch[:n], change)
		batch = batch[n:]
		if a.done += n; a.progress != nil {
			a.progress(a.done, a.total)
		}
	}
}

func (a *applier) runPortion(k state.Kind, batch []*Step, change func(*Step) state.Change) {
	copies := make([]state.Change, len(batch))
	changes := make([]*state.Change, len(batch))
	for i, s := range batch {
		copies[i] = change(s)
		changes[i] = &copies[i]
	}
	a.node.Apply(k, changes)
	for i, s := range batch {
		s.Result = Done
		if err := changes[i].Err; err != nil {
			s.Result, s.Err = Failed, err
			a.fail(s, err)
		}
	}
}
