package state

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"net/netip"
	"slices"
)

// Set is what a node should hold, or what it holds: a table for each kind. Desired and live are of
// the same type, so that a plan is a set difference.
type Set struct {
	Links       Table[Link]
	LinkSysctls Table[Sysctl]
	Addrs       Table[Addr]
	LinksUp     Table[LinkUp]

	TunnelSources Table[TunnelSource]

	Neighs    Table[Neigh]
	FDB       Table[FDB]
	Routes    Table[Route]
	Chains    Table[Chain]
	Sysctls   Table[Sysctl]
	Ports     Table[Port]
	HostPorts Table[HostPort]
	Conflists Table[Conflist]

	// that hold every podCIDR and no node's ip, where that can be had in few: what a remedy speaks
	// of
	Ranges []netip.Prefix
	Lacks  error // what the topology asks for and this host cannot have; nil: nothing
}

// Row is a Resource that a Table can hold.
type Row interface {
	comparable
	Resource
}

// Table holds the objects of one kind as plain values side by side: no allocation an object.
type Table[R Row] struct {
	rows  []R
	from  []Origin
	index *index // made by the first Find
}

// index finds rows by their keys. What diff notes in it serves the next diff, also that of a copy
// of the table.
type index struct {
	// slots is open addressing: the number of a row plus one in the place that its key's hash
	// gives, or in the next free one. A map would hold each key a second time, which is more than
	// the objects.
	slots []int32
	seed  maphash.Seed

	found       []int32 // where diff found each row
	order, next []int32 // rows in the order in which the last diff found them, and in which this one does
}

// Add puts an object into the table.
func (t *Table[R]) Add(r R, from Origin) {
	t.rows = append(t.rows, r)
	t.from = append(t.from, from)
	t.index = nil
}

// grow makes room for n objects.
func (t *Table[R]) grow(n int) {
	t.rows, t.from = slices.Grow(t.rows, n), slices.Grow(t.from, n)
}

// Reset empties the table and keeps its memory for about n objects, unless it was made for a great
// many more.
func (t *Table[R]) Reset(n int) {
	if most := n + n/8 + 64; cap(t.rows) < n || cap(t.rows) > 2*most {
		*t = Table[R]{rows: make([]R, 0, most), from: make([]Origin, 0, most)}
	}
	t.Rewind(0)
}

// Rows are the objects in the order in which they were added; not to be changed.
func (t *Table[R]) Rows() []R { return t.rows }

// All yields the objects with their origins, in the order in which they were added.
func (t *Table[R]) All() iter.Seq2[R, Origin] {
	return func(yield func(R, Origin) bool) {
		for i, r := range t.rows {
			if !yield(r, t.from[i]) {
				return
			}
		}
	}
}

// Len is the number of objects.
func (t *Table[R]) Len() int { return len(t.rows) }

// Find returns the object of a key, the first of several. The first call after an Add builds the
// index; after that, readers may share it.
func (t *Table[R]) Find(k Key) (R, Origin, bool) {
	t.buildIndex()
	if i := t.lookup(k); i >= 0 {
		return t.rows[i], t.from[i], true
	}
	var none R
	return none, OwnNode, false
}

// lookup is the number of the row with a key, -1 if there is none. The index has to be there.
func (t *Table[R]) lookup(k Key) int {
	slots := t.index.slots
	for at := t.index.slot(k); ; at = (at + 1) & (len(slots) - 1) {
		i := int(slots[at]) - 1
		if i < 0 || t.rows[i].Key() == k {
			return i
		}
	}
}

// slot is where the search for a key begins.
func (x *index) slot(k Key) int { return int(maphash.Comparable(x.seed, k) & uint64(len(x.slots)-1)) }

// buildIndex leaves at least half of the slots free, so that a search is short and ends.
func (t *Table[R]) buildIndex() {
	if t.index != nil {
		return
	}
	x := &index{slots: make([]int32, 1<<bits.Len(uint(2*len(t.rows)))), seed: maphash.MakeSeed(),
		found: make([]int32, len(t.rows))}
	t.index = x
	for i, r := range t.rows {
		k := r.Key()
		at := x.slot(k)
		for x.slots[at] != 0 && t.rows[x.slots[at]-1].Key() != k {
			at = (at + 1) & (len(x.slots) - 1)
		}
		if x.slots[at] == 0 {
			x.slots[at] = int32(i) + 1
		}
	}
}

// expect is lookup for a row that is likely to come where it came in the last diff: the kernel
// lists what has not changed in the same order. at is where that is, give or take one; it goes on
// by itself.
func (t *Table[R]) expect(r R, at *int) int {
	order := t.index.order
	for _, j := range [...]int{*at, *at + 1, *at - 1} {
		if j >= 0 && j < len(order) && t.rows[order[j]] == r {
			*at = j + 1
			return int(order[j])
		}
	}
	*at++
	return t.lookup(r.Key())
}

// Mark returns a place in the table that Rewind takes it back to.
func (t *Table[R]) Mark() int { return len(t.rows) }

// Rewind takes out what was added since Mark returned the place, by a dump that was interrupted for
// instance.
func (t *Table[R]) Rewind(mark int) { t.rows, t.from, t.index = t.rows[:mark], t.from[:mark], nil }

// rows is a Table whose type does not matter.
type rows interface {
	Len() int
	Reset(n int)
	buildIndex()
	find(Key) (Resource, Origin, bool)
	diff(have rows, kind Kind, emit func(Change))
	drop(lost func(Key) bool, dropped func(Key))
}

func (t *Table[R]) find(k Key) (Resource, Origin, bool) { return t.Find(k) }

// diff emits what turns have into t: first what is missing or different, in t's order, then what
// nobody wants, in have's. An object that is as it should be costs no allocation.
func (t *Table[R]) diff(have rows, kind Kind, emit func(Change)) {
	live := have.(*Table[R]).rows
	t.buildIndex()
	x, place := t.index, 0
	clear(x.found)
	at := x.found // where in live, plus one
	var orphans []int
	for i, h := range live {
		w := t.expect(h, &place)
		if w >= 0 {
			x.next = append(x.next, int32(w))
		}
		switch {
		case w < 0:
			orphans = append(orphans, i)
		case at[w] == 0:
			at[w] = int32(i) + 1
		case h == t.rows[w] && live[at[w]-1] != h: // the right one, behind a wrong one of the same key
			orphans = append(orphans, int(at[w])-1)
			at[w] = int32(i) + 1
		case h != t.rows[w]:
			orphans = append(orphans, i)
		}
	}
	x.order, x.next = x.next, x.order[:0]
	for i, w := range t.rows {
		switch {
		case at[i] == 0:
			emit(Change{Op: Create, Kind: kind, Want: w, Origin: t.from[i]})
		case live[at[i]-1] != w:
			emit(Change{Op: Update, Kind: kind, Have: live[at[i]-1], Want: w, Origin: t.from[i]})
		}
	}
	for _, i := range orphans {
		emit(Change{Op: Delete, Kind: kind, Have: live[i], Origin: OwnNode})
	}
}

// Index builds the index of every table, so that what shares them with s has it too.
func (s *Set) Index() {
	for k := range Kind(KindCount) {
		s.TableOf(k).buildIndex()
	}
}

// Find looks an object up in any table.
func (s *Set) Find(k Key) (Resource, Origin, bool) { return s.TableOf(k.Kind).find(k) }

// Has reports whether there is an object of a key.
func (s *Set) Has(k Key) bool {
	_, _, has := s.Find(k)
	return has
}

// Count is the number of objects of a kind.
func (s *Set) Count(k Kind) int { return s.TableOf(k).Len() }

// Diff emits what turns the objects of one kind in have into those in s.
func (s *Set) Diff(have *Set, k Kind, emit func(Change)) {
	s.TableOf(k).diff(have.TableOf(k), k, emit)
}

// Drop takes the objects of a kind out whose parent is lost, and reports their keys, as their own
// children are lost too. A copy of the set from before keeps them.
func (s *Set) Drop(k Kind, lost func(parent Key) bool, dropped func(Key)) {
	s.TableOf(k).drop(lost, dropped)
}

func (t *Table[R]) drop(lost func(Key) bool, dropped func(Key)) {
	var rows []R
	var from []Origin
	for i, r := range t.rows {
		if lost(r.Parent()) {
			dropped(r.Key())
			continue
		}
		rows, from = append(rows, r), append(from, t.from[i])
	}
	t.rows, t.from, t.index = rows, from, nil
}
