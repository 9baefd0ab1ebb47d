package reconcile

import (
	"fmt"
	"testing"

	"github.com/podnet/podnet/schema"
)

// Ranges that follow from the nodes change with them: no line of the file says so, and they may be
// many.
func TestFieldChangeWithoutALine(t *testing.T) {
	const text = `apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: lab}
nodes:
`
	before, after, moved := text, text, text
	for i := range 9 {
		entry := "- {name: n%d, ip: 192.0.2.%d, podCIDRs: [10.%d.0.0/24]}\n"
		if after += fmt.Sprintf(entry, i, i+1, 2*i); i < 8 {
			before += fmt.Sprintf(entry, i, i+1, 2*i)
			moved += fmt.Sprintf(entry, i, i+1, 2*i+100)
		}
	}
	parse := func(s string) *schema.Topology {
		topology, err := schema.Parse("topology.yaml", []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return topology
	}
	changes, _ := plan(t, parse(before), parse(after), nil).FieldChanges()
	if len(changes) != 1 || changes[0].Before != "8 entries" || changes[0].After != "9 entries" || changes[0].Line != 5 {
		t.Errorf("%+v", changes)
	}
	if changes, _ = plan(t, parse(before), parse(moved), nil).FieldChanges(); len(changes) != 1 || changes[0].Before != "8 entries" || changes[0].After != "as many others" {
		t.Errorf("as many others: %+v", changes)
	}
}
