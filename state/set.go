package state

// Set is what a node should hold, or what it holds: a table for each kind. Desired and live are of the same type, so that
// a plan is a set difference.
type Set struct {
	Links       Table[Link]
	LinkSysctls Table[Sysctl]
	Addrs       Table[Addr]
	LinksUp     Table[LinkUp]
	Neighs      Table[Neigh]
	FDB         Table[FDB]
	Routes      Table[Route]
	Chains      Table[Chain]
	Sysctls     Table[Sysctl]
	Ports       Table[Port]
	Conflists   Table[Conflist]
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
	index map[Key]int32 // made by the first Find
}

// Add puts an object into the table.
func (t *Table[R]) Add(r R, from Origin) {
	t.rows = append(t.rows, r)
	t.from = append(t.from, from)
	t.index = nil
}

// Rows are the objects in the order in which they were added; not to be changed.
func (t *Table[R]) Rows() []R { return t.rows }

// Len is the number of objects.
func (t *Table[R]) Len() int { return len(t.rows) }

// Find returns the object of a key. The first call after an Add builds the index; after that, readers may share it.
func (t *Table[R]) Find(k Key) (R, Origin, bool) {
	i, ok := t.lookup()[k]
	if !ok {
		var none R
		return none, OwnNode, false
	}
	return t.rows[i], t.from[i], true
}

func (t *Table[R]) lookup() map[Key]int32 {
	if t.index == nil {
		t.index = make(map[Key]int32, len(t.rows))
		for i, r := range t.rows {
			if _, twice := t.index[r.Key()]; !twice {
				t.index[r.Key()] = int32(i)
			}
		}
	}
	return t.index
}

// mark and rewind take back what an interrupted dump has added.
func (t *Table[R]) mark() int { return len(t.rows) }

func (t *Table[R]) rewind(mark int) { t.rows, t.from, t.index = t.rows[:mark], t.from[:mark], nil }

// rows is a Table whose type does not matter.
type rows interface {
	Len() int
	find(Key) (Resource, Origin, bool)
	diff(have rows, kind Kind, emit func(Change))
	drop(lost func(Key) bool, dropped func(Key))
}

func (t *Table[R]) find(k Key) (Resource, Origin, bool) { return t.Find(k) }

// diff emits what turns have into t: first what is missing or different, in t's order, then what nobody wants, in have's.
// An object that is as it should be costs no allocation.
func (t *Table[R]) diff(have rows, kind Kind, emit func(Change)) {
	live := have.(*Table[R]).rows
	index := t.lookup()
	at := make([]int32, len(t.rows)) // where in live, plus one
	var orphans []int
	for i, h := range live {
		w, wanted := index[h.Key()]
		switch {
		case !wanted:
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

// Find looks an object up in any table.
func (s *Set) Find(k Key) (Resource, Origin, bool) { return kinds()[k.Kind].rows(s).find(k) }

// Count is the number of objects of a kind.
func (s *Set) Count(k Kind) int { return kinds()[k].rows(s).Len() }

// Diff emits what turns the objects of one kind in have into those in s.
func (s *Set) Diff(have *Set, k Kind, emit func(Change)) {
	kinds()[k].rows(s).diff(kinds()[k].rows(have), k, emit)
}

// Drop takes the objects of a kind out whose parent is lost, and reports their keys, as their own children are lost too.
func (s *Set) Drop(k Kind, lost func(parent Key) bool, dropped func(Key)) {
	kinds()[k].rows(s).drop(lost, dropped)
}

func (t *Table[R]) drop(lost func(Key) bool, dropped func(Key)) {
	kept := 0
	for i, r := range t.rows {
		if lost(r.Parent()) {
			dropped(r.Key())
			continue
		}
		t.rows[kept], t.from[kept] = r, t.from[i]
		kept++
	}
	t.rewind(kept)
}
