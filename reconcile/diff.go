package reconcile

import (
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/state"
)

// Result is what became of a step.
type Result string

// The results.
const (
	Planned Result = "planned"
	Done    Result = "done"
	Failed  Result = "failed"
	Skipped Result = "skipped"
)

// Step is one change of a plan.
type Step struct {
	state.Change
	Cause  Cause
	Result Result

	first   bool // a deletion that makes room and cannot wait for the end
	soon    bool // a deletion right behind what is made of its kind: something of a later kind cannot be made beside it
	carried bool // a deletion that comes with its parent's
	Waiting bool // skipped only because of something else that is
	lost    bool // it was there, and dies with a device that has to be made anew or gets another MAC
}

// Diff lists the steps from live to want in the order of their application, of the kinds that live
// has looked at. What somebody else's object keeps from being done is listed as skipped. What dies
// with a device that has to be made anew, or with its MAC, counts as gone. Diff does not change
// want or live.
func Diff(want *state.Set, live *state.Live) []*Step {
	left := *live
	d := &differ{want: want, live: &left, gone: map[state.Key]bool{}, reset: map[string]bool{},
		dying: map[state.Key]bool{}}
	for k := range state.Kind(state.KindCount) {
		if (live.Unknown[k] == nil || live.Partly.Has(k)) && !live.Kept.Has(k) {
			d.kind(k)
		}
	}
	d.block()
	return d.steps
}

type differ struct {
	want  *state.Set
	live  *state.Live // without what dies on the way
	steps []*Step
	gone  map[state.Key]bool // deleted before anything is made
	reset map[string]bool    // devices whose neighbours the kernel forgets
	dying map[state.Key]bool // deleted in the end
}

func (d *differ) kind(k state.Kind) {
	if len(d.gone) > 0 {
		d.live.Drop(k, func(parent state.Key) bool { return d.gone[parent] }, func(key state.Key) { d.gone[key] = true })
	}
	if k == state.KindNeigh && len(d.reset) > 0 {
		d.live.Drop(k, func(parent state.Key) bool { return d.reset[parent.Name] },
			func(key state.Key) { d.gone[key] = true })
	}
	start := len(d.steps)
	d.want.Diff(&d.live.Set, k, func(c state.Change) { d.add(&Step{Change: c, Result: Planned}) })
	switch k {
	case state.KindLink:
		d.makeRoom(d.steps[start:])
	case state.KindAddr:
		d.displace(d.steps[start:])
		d.giveWay(d.steps[start:])
		d.forgetSources(d.steps[start:])
	}
}

func (d *differ) add(s *Step) {
	d.steps = append(d.steps, s)
	switch s.Op {
	case state.Update:
		if r, ok := s.Want.(state.Replacer); ok {
			if s.Replace = r.MustReplace(s.Have); s.Replace != "" {
				d.gone[s.Key()] = true
			}
		}
		if s.resets() {
			d.reset[s.Want.Name()] = true
		}
	case state.Create:
		s.lost = d.gone[s.Key()]
	case state.Delete:
		s.carried = d.dying[s.Have.Parent()]
		d.dying[s.Key()] = true
	}
}

// forgetSources removes the source of live routes whose source address the plan replaces, deletes
// early or loses with its device, as the kernel does then. The diff of routes after that updates
// them.
func (d *differ) forgetSources(addrs []*Step) {
	for _, s := range addrs {
		if have, is := s.Have.(state.Addr); is && (s.Replace != "" || s.first) {
			d.live.ForgetSource(have.Prefix.Addr())
		} else if want, is := s.Want.(state.Addr); is && s.lost {
			d.live.ForgetSource(want.Prefix.Addr())
		}
	}
}

// sourceOf is the wanted address that a route sends from: the kernel refuses the route without it.
func sourceOf(want *state.Set, r state.Resource) (state.Addr, bool) {
	if route, is := r.(state.Route); is && route.Source.IsValid() && want != nil {
		for _, a := range want.Addrs.Rows() {
			if a.Prefix.Addr() == route.Source {
				return a, true
			}
		}
	}
	return state.Addr{}, false
}

// resets says that a device stays and the kernel forgets its neighbours: it gets another MAC, or
// resolves addresses again.
func (s *Step) resets() bool {
	want, is := s.Want.(state.Link)
	if !is || s.Op != state.Update || s.Replace != "" {
		return false
	}
	have := s.Have.(state.Link)
	return want.MAC != have.MAC || want.NoARP != have.NoARP
}

// makeRoom moves the deletion of a device to the front that could not exist beside a new one.
func (d *differ) makeRoom(links []*Step) {
	for _, old := range links {
		for _, made := range links {
			if old.Op == state.Delete && made.Op == state.Create && made.Want.(state.Link).Collides(old.Have.(state.Link)) {
				old.first = true
				delete(d.dying, old.Key())
				d.gone[old.Key()] = true
			}
		}
	}
}

// displace moves the deletion of foreign addresses to the front that would take podnet's along.
func (d *differ) displace(addrs []*Step) {
	for _, old := range addrs {
		if old.Op != state.Delete {
			continue
		}
		for _, want := range d.want.Addrs.Rows() {
			old.first = old.first || !old.carried && want.Displaces(old.Have.(state.Addr))
		}
	}
}

// giveWay has the deletion of an address wait for the new addresses only, if a wanted route leads
// by way of it: the kernel takes no address of the host for a gateway. It is not the first to go,
// as a device whose last address goes loses its routes.
func (d *differ) giveWay(addrs []*Step) {
	var leaving map[netip.Addr]*Step
	for _, old := range addrs {
		if old.Op == state.Delete && !old.first {
			if leaving == nil {
				leaving = map[netip.Addr]*Step{}
			}
			leaving[old.Have.(state.Addr).Prefix.Addr()] = old
		}
	}
	if leaving == nil {
		return
	}
	for _, r := range d.want.Routes.Rows() {
		if old := leaving[r.Via]; old != nil {
			old.soon, old.carried = true, false
		}
	}
}

// block skips what a foreign object is in the way of, and what waits for that. A device that
// another was to take the place of stays meanwhile, with all that is on it.
func (d *differ) block() {
	blocked := map[state.Key]string{}
	for _, c := range d.live.Conflicts {
		if c.Blocks {
			blocked[c.Key] = "in its place is " + c.Owner
		}
	}
	if len(blocked) == 0 && !d.ownUnknown() {
		return
	}
	kept := map[state.Key]bool{}
	for _, s := range d.steps {
		if s.Op == state.Delete {
			d.keep(s, kept)
			continue
		}
		why, is := blocked[s.Key()]
		if !is {
			if _, s.Waiting = blocked[s.Want.Parent()]; s.Waiting {
				why, is = waitsFor(s.Want), true
			}
		}
		if a, sends := sourceOf(d.want, s.Want); sends && !is {
			if _, s.Waiting = blocked[a.Key()]; s.Waiting {
				why, is = waitsForAddr(a), true
			}
		}
		if is {
			s.skip(why)
			blocked[s.Key()] = why
		}
	}
	d.holdConflist()
}

// ownUnknown says that some part of the node itself could not be looked at.
func (d *differ) ownUnknown() bool {
	for k, err := range d.live.Unknown {
		if err != nil && state.Kind(k).Own() {
			return true
		}
	}
	return false
}

// holdConflist has the conflist wait if a part of the node itself cannot be made.
func (d *differ) holdConflist() {
	wanting := d.ownUnknown()
	for _, s := range d.steps {
		wanting = wanting || s.Kind.Own() && s.Result == Skipped
	}
	for _, s := range d.steps {
		if wanting && s.Kind == state.KindConflist && s.Op != state.Delete && s.Result == Planned {
			s.Waiting = true
			s.skip(waitsForOwn)
		}
	}
}

// waitsForOwn is why there is no conflist while a part of the node itself is missing.
const waitsForOwn = "waits for the node's own network, so that no pod starts on half of it"

// keep skips the deletion of a device while its successor is blocked, whose step comes before, and
// of what is on it.
func (d *differ) keep(s *Step, kept map[state.Key]bool) {
	if s.Waiting = kept[s.Have.Parent()]; !s.Waiting {
		old, is := s.Have.(state.Link)
		if s.Waiting = is && d.successorBlocked(old); !s.Waiting {
			return
		}
	}
	kept[s.Key()] = true
	s.skip("stays until the device that takes its place can be made")
}

func (d *differ) successorBlocked(old state.Link) bool {
	for _, s := range d.steps {
		if made, is := s.Want.(state.Link); is && s.Op == state.Create && s.Result == Skipped && made.Type == old.Type {
			return true
		}
	}
	return false
}

func (s *Step) skip(why string) {
	s.Result, s.Err = Skipped, fmt.Errorf("%s %s: %s", s.Kind, s.Object().Name(), why)
}

func waitsForAddr(a state.Addr) string { return "waits for addr " + a.Name() }

func waitsFor(r state.Resource) string {
	return fmt.Sprintf("waits for %s %s", r.Parent().Kind, r.Parent().Name)
}
