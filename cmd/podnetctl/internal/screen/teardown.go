package screen

import (
	"fmt"
	"io"
	"strings"

	"github.com/podnet/podnet/reconcile"
)

// Teardown is what teardown shows.
type Teardown struct {
	Plan        *reconcile.Plan
	Pods        int
	Names       []string // of pods that lose their network
	Planned     bool     // nothing has been done
	Err         error
	Directories []string // of podnet's own, that there are or were
	Stays       string   // host-wide sysctls
}

// WriteTeardown writes the screen of teardown.
func WriteTeardown(w io.Writer, style Style, t Teardown) error {
	v := &planView{Plan: t.Plan, given: Plan{Plan: t.Plan, Pods: t.Pods, Applied: !t.Planned}, page: newPage(w, style)}
	p := v.page
	p.row("Node", "%s", v.Node.Name)
	if len(v.Steps) > 0 {
		p.blank()
		p.objects(flat, collapseWith(v.Steps, stepObject, false, func(n int) string { return fmt.Sprintf("... %d more", n) }))
		v.failures()
		p.blank()
	}
	p.row("Objects", "%s", v.objectCounts(v.Summarize(nil).Objects))
	if t.Planned {
		for i, line := range v.losses().said {
			p.row([]string{"Impact", ""}[min(i, 1)], "%s", line)
		}
	}
	if len(t.Names) > 0 {
		what := "lost their network: "
		if t.Planned {
			what = "would keep it from being done without --force, and lose their network: "
		}
		p.row("Pods", "%s", what+strings.Join(t.Names, ", "))
	}
	files := strings.Join(t.Directories, ", ")
	switch {
	case len(t.Directories) == 0:
		p.row("Files", "none to remove")
	case t.Planned:
		p.row("Files", "to remove: %s", files)
	case t.Err == nil:
		p.row("Files", "removed: %s", files)
	}
	p.row("Stays", "the topology, the plugins, the address leases, and host-wide sysctls: %s", t.Stays)
	switch {
	case t.Planned:
		p.line("", text("Nothing changed."))
	case t.Err != nil:
		p.line("", span{"NOT REMOVED", alarm}, text("  %s", fmt.Sprint(t.Err)))
	}
	return p.close()
}
