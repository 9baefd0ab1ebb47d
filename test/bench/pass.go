package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// passes measures a pass with nothing to do, next to the time that the tools need to print the same
// three tables.
func (b bench) passes() {
	for _, f := range []families{ipv4, dual} {
		b.section(fmt.Sprintf("a pass with nothing to do, %d peers, %s; the other side is ip and bridge printing the tables",
			b.large, f))
		n := lab.New(b.TB).Node("idle")
		t := site(n, b.large, f)
		n.Write(t.String())
		b.apply(n)
		b.must(complete(n, t))
		var inside, whole, dumps []time.Duration
		b.inside(n, func(e engine) error {
			for round := range 3*b.rounds + 1 {
				dumps = append(dumps, b.dumps(n, f))
				took, err := e.nothing()
				if err != nil {
					return err
				}
				if round > 0 { // the first one parses the file
					inside = append(inside, took)
				}
			}
			return nil
		})
		for range b.rounds {
			whole = append(whole, b.apply(n))
		}
		b.versus("in process, the file's content known, as the daemon makes it", inside, dumps, 1)
		b.versus("podnetctl apply, from exec, with the parse", whole, dumps, 0)
		b.mutating(n)
		n.Sh("ip link del podnet.1")
		b.drop(n)
	}
}

// nothing is a pass that has nothing to do.
func (e engine) nothing() (time.Duration, error) {
	begin := time.Now()
	plan, err := e.pass()
	took := time.Since(begin)
	if err == nil && len(plan.Steps) > 0 {
		err = errors.New("there was something to do: " + plan.Steps[0].Object().Name())
	}
	return took, err
}

// dumps is how long the tools take to print the peers' entries to nowhere. The caller is in the
// node's namespace.
func (b bench) dumps(n *lab.Node, f families) time.Duration {
	queries := []string{"ip -4 route show proto 72", "ip neigh show dev podnet.1", "bridge fdb show dev podnet.1"}
	if f == dual {
		queries = append(queries, "ip -6 route show proto 72")
	}
	begin := time.Now()
	for _, q := range queries {
		args := strings.Fields(q)
		b.must(exec.Command(args[0], args[1:]...).Run())
	}
	return time.Since(begin)
}

// mutating counts what a pass asks the kernel to change.
func (b bench) mutating(n *lab.Node) {
	messages := 0
	for _, count := range n.Traced(lab.Program("podnetctl"), "--root", n.Root, "--node", n.Host, "apply").Mutating() {
		messages += count
	}
	b.atMost("netlink messages of it that change something (strace)", float64(messages), 0, "%.0f")
}
