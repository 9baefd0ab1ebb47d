package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// tally is a line of the table.
type tally struct {
	points, kills, leaks int
}

// board collects the lines; scenarios run side by side.
type board struct {
	title   string
	columns [3]string // what the figures of a tally are

	mu    sync.Mutex
	lines map[string]tally
}

func (b *board) add(name string, t tally) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines[name] = t
}

func (b *board) text() string {
	const layout = "%-56s %11v %21v %8v\n"
	var s strings.Builder
	var sum tally
	fmt.Fprintf(&s, layout, b.title, b.columns[0], b.columns[1], b.columns[2])
	for _, name := range slices.Sorted(maps.Keys(b.lines)) {
		t := b.lines[name]
		fmt.Fprintf(&s, layout, name, t.points, t.kills, t.leaks)
		sum = tally{sum.points + t.points, sum.kills + t.kills, sum.leaks + t.leaks}
	}
	fmt.Fprintf(&s, layout, "all", sum.points, sum.kills, sum.leaks)
	return s.String()
}

// sample is how many kill points lie between those that a short run tries.
const sample = 19

// Whatever call a plugin is killed at, a retry succeeds with one address, a DEL or a GC cleans up,
// with the namespace or without it, and the pool is whole.
func TestKill(t *testing.T) {
	b := &board{title: "kill -9 of", columns: [3]string{"kill points", "kills with a retry", "leaks"}, lines: map[string]tally{}}
	t.Run("all", func(t *testing.T) {
		for _, network := range networks() {
			for _, verb := range []string{"ADD", "DEL"} {
				name := verb + ", " + network.name
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					b.add(name, killEverywhere(t, network, verb))
				})
			}
		}
	})
	report(t, b.text())
}

// enough faults show a fault; each may have waited long for what never came.
const enough = 4

func killEverywhere(t *testing.T, network network, verb string) tally {
	var sum tally
	begin, step := 1+lab.Share()%sample, sample
	if lab.Full() {
		begin, step = 1, 1
	}
	for n := begin; ; n += step {
		reached := false
		for way := range ways {
			if !lab.InShare(way+n/step, len(ways)) {
				continue
			}
			ok := t.Run(pointName(n, way), func(t *testing.T) {
				got, err := kill(t, network, verb, n, way)
				reached = reached || got.killed
				if got.killed {
					sum.kills++
				} else {
					sum.points = got.calls
				}
				if err != nil {
					t.Error(err)
				}
			})
			if !ok {
				sum.leaks++
			}
			if sum.leaks > enough {
				return sum
			}
		}
		if !reached {
			return sum
		}
	}
}
