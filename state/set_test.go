package state

import (
	"fmt"
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
