// Command bench puts podnet next to the tools that do the same, in one run on one machine: peers
// next to ip -batch and bridge -batch, a pass next to the dumps of ip and bridge, pods next to the
// reference plugins. Rounds are interleaved, so that both sides see the same machine; figures are
// medians unless they say otherwise. Every row that has a target says whether it holds.
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

// settings are the sizes of a run. The defaults take about six minutes.
type settings struct {
	only   string
	peers  string
	rounds int
	large  int

	idle, storm                 time.Duration
	healGap, healGapLarge       time.Duration
	heals, healsLarge, restarts int
	stormRoutes                 int

	pods, leases, manyLeases, parallel, garbage int
}

func flags() *settings {
	s := &settings{}
	flag.StringVar(&s.only, "only", "", "some of the sections, separated by commas: "+strings.Join(sectionNames(), ", "))
	flag.StringVar(&s.peers, "peers", "100,1000,10000,50000", "numbers of peers to program")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds of each measurement that is compared with another")
	flag.IntVar(&s.large, "large", 10000, "peers of the node whose passes and daemon are measured")
	flag.DurationVar(&s.idle, "idle", 30*time.Second, "how long to watch an idle daemon; 10m is what the target says")
	flag.DurationVar(&s.storm, "storm", 10*time.Second, "how long the adversary lasts; 60s is what the target says")
	flag.IntVar(&s.stormRoutes, "storm-routes", 100000, "foreign route changes of a storm")
	flag.DurationVar(&s.healGap, "heal-gap", 50*time.Millisecond, "pause between two deletions at 1,000 peers, on average")
	flag.DurationVar(&s.healGapLarge, "heal-gap-large", 300*time.Millisecond, "the same at -large peers")
	flag.IntVar(&s.heals, "heals", 1000, "deletions at 1,000 peers")
	flag.IntVar(&s.healsLarge, "heals-large", 100, "deletions at -large peers")
	flag.IntVar(&s.restarts, "restarts", 5, "restarts and edits of the daemon at -large peers")
	flag.IntVar(&s.pods, "pods", 20, "pods added and deleted, of each kind")
	flag.IntVar(&s.leases, "leases", 10000, "leases in the full directory")
	flag.IntVar(&s.manyLeases, "many-leases", 60000, "leases in the fullest directory, podnet's alone")
	flag.IntVar(&s.parallel, "parallel", 8, "ADDs at a time")
	flag.IntVar(&s.garbage, "garbage", 100, "veths for podnetctl gc to collect")
	flag.Parse()
	return s
}

// sections are what can be measured, in the order of the output.
var sections = []struct {
	name string
	run  func(bench)
}{
	{"peers", bench.programming},
	{"pass", bench.passes},
	{"firewall", bench.firewalls},
	{"daemon", bench.daemon},
	{"heal", bench.healing},
	{"storm", bench.storms},
	{"pods", bench.pods},
}

func sectionNames() []string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// bench is one run.
type bench struct {
	lab.TB
	*settings
	*table
}

func main() {
	s := flags()
	os.Exit(lab.Main(func(t lab.TB) {
		if err := lab.RequirePrograms("podnetd", "podnetctl", "cni/bridge", "cni/host-local", "cni/loopback"); err != nil {
			t.Fatalf("%v", err)
		}
		b := bench{t, s, &table{}}
		begin := time.Now()
		for _, section := range sections {
			if s.only == "" || slices.Contains(strings.Split(s.only, ","), section.name) {
				section.run(b)
			}
		}
		b.summary(time.Since(begin))
	}))
}

// sizes are the numbers of peers to program.
func (b bench) sizes() []int {
	var sizes []int
	for _, text := range strings.Split(b.settings.peers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			b.Fatalf("-peers: %q is no number of peers", text)
		}
		sizes = append(sizes, n)
	}
	return sizes
}

// must ends the run at a fault of the measurement itself; a missed target is none.
func (b bench) must(err error) {
	if err != nil {
		b.Fatalf("%.2000v", fmt.Sprint(err))
	}
}
