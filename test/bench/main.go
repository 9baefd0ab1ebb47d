// Command bench puts podnet next to the tools that do the same: peers next to ip -batch and bridge -batch, pods next to
// the reference plugins. Rounds are interleaved, so that both see the same machine; figures are medians.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/podnet/podnet/test/lab"
)

func main() {
	rounds := flag.Int("rounds", 5, "rounds of each size")
	sizes := flag.String("peers", "1000,10000", "numbers of peers")
	pods := flag.Int("pods", 40, "pods added and deleted, of each kind")
	os.Exit(lab.Main(func(t lab.TB) {
		flag.Parse()
		if err := lab.RequirePrograms("podnetd", "podnetctl", "cni/bridge", "cni/host-local", "cni/loopback"); err != nil {
			t.Fatalf("%v", err)
		}
		fmt.Printf("%-46s%12s%14s%9s\n", "medians", "podnet", "other", "ratio")
		b := bench{TB: t, lab: lab.New(t)}
		for _, text := range strings.Split(*sizes, ",") {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatalf("-peers: %v", err)
			}
			b.peers(n, *rounds)
		}
		b.pods(*pods)
	}))
}

// bench is one run.
type bench struct {
	lab.TB
	lab *lab.Lab
}

// versus prints one line of the table.
func versus(what string, ours, theirs []time.Duration) {
	a, b := median(ours), median(theirs)
	fmt.Printf("%-46s%12s%14s%8.2fx\n", what, ms(a), ms(b), float64(a)/float64(b))
}

// alone prints a line that nothing compares to.
func alone(what, figure string) { fmt.Printf("%-46s%12s\n", what, figure) }

func median(d []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
