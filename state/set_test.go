package state

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func sysctls(values ...string) *Table[Sysctl] {
	t := new(Table[Sysctl])
	for _, v := range values {
		path, value, _ := strings.Cut(v, "=")
		t.Add(Sysctl{Path: path, Value: value}, OwnNode)
	}
	return t
}

func TestTableDiff(t *testing.T) {
	for _, c := range []struct {
		name       string
		want, have *Table[Sysctl]
		changes    string
	}{
		{"equal", sysctls("a=1", "b=2"), sysctls("b=2", "a=1"), ""},
		{"all new", sysctls("a=1", "b=2"), sysctls(), "create a=1, create b=2"},
		{"all gone", sysctls(), sysctls("a=1"), "delete a=1"},
		{"changed", sysctls("a=1", "b=2"), sysctls("a=1", "b=3", "c=4"), "update b=3->2, delete c=4"},
		{"twice, wrong first", sysctls("a=1"), sysctls("a=2", "a=1"), "delete a=2"},
		{"twice, wrong last", sysctls("a=1"), sysctls("a=1", "a=2"), "delete a=2"},
		{"twice wrong", sysctls("a=1"), sysctls("a=2", "a=3"), "update a=2->1, delete a=3"},
	} {
		var got []string
		c.want.diff(c.have, KindSysctl, func(c Change) {
			s := c.Op.String() + " " + c.Object().Name() + "="
			if c.Op == Update {
				s += c.Have.(Sysctl).Value + "->"
			}
			got = append(got, s+c.Object().(Sysctl).Value)
		})
		if strings.Join(got, ", ") != c.changes {
			t.Errorf("%s: %q, want %q", c.name, got, c.changes)
		}
	}
}

// A set that is as it should be must cost next to nothing, however large.
func TestEqualSetsAllocateNothingForEachObject(t *testing.T) {
	const n = 10000
	want, have := new(Table[Sysctl]), new(Table[Sysctl])
	for i := range n {
		s := Sysctl{Path: fmt.Sprint(i)}
		want.Add(s, OwnNode)
		have.Add(s, OwnNode)
	}
	want.buildIndex()
	if got := testing.AllocsPerRun(10, func() { want.diff(have, KindSysctl, func(Change) { t.Error("a change") }) }); got > 5 {
		t.Errorf("%v allocations for %d equal objects", got, n)
	}
}

// What a diff remembers of the order only makes the next one faster: with rows missing, added,
// changed, doubled and shuffled it says what the diff of a new table says.
func TestDiffRemembersNothingWrong(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const n = 50
	want := func() *Table[Sysctl] {
		w := new(Table[Sysctl])
		for i := range n {
			w.Add(Sysctl{Path: fmt.Sprint(i), Value: "right"}, OwnNode)
		}
		return w
	}
	diff := func(w, have *Table[Sysctl]) (got []string) {
		w.diff(have, KindSysctl, func(c Change) { got = append(got, fmt.Sprint(c.Op, c.Have, c.Want)) })
		return got
	}
	used := want()
	order := random.Perm(n)
	for round := range 500 {
		if round%10 == 0 {
			order = random.Perm(n)
		}
		have := new(Table[Sysctl])
		for _, i := range order {
			s := Sysctl{Path: fmt.Sprint(i), Value: "right"}
			switch random.IntN(20) {
			case 0:
				continue
			case 1:
				s.Value = "wrong"
			case 2:
				have.Add(Sysctl{Path: fmt.Sprint("stranger ", i)}, OwnNode)
			case 3:
				have.Add(Sysctl{Path: s.Path, Value: "double"}, OwnNode)
			}
			have.Add(s, OwnNode)
		}
		if got, want := diff(used, have), diff(want(), have); !slices.Equal(got, want) {
			t.Fatalf("round %d: %q, a new table says %q", round, got, want)
		}
	}
}
