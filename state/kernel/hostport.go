package kernel

import (
	"fmt"
	"slices"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
)

// HostPorts is what knows the portmap plugin's records and rules.
type HostPorts interface {
	// Records returns what is on record in a directory, and the paths of files that are no records.
	Records(dir string) (published []state.HostPort, foreign []string, err error)
	// Lacks returns what is missing of the rules of each. counted: any change of them gives
	// nftables a new generation.
	Lacks(dir string, published []state.HostPort) (lacks []string, counted bool, err error)
	// Restore puts the rules of a record back.
	Restore(dir, record string) error
	// Withdraw removes the rules of a record, and the record.
	Withdraw(dir, record string) error
}

// hostPortCache is what was missing as of one generation of nftables' rules: nothing is read while
// nothing changes.
type hostPortCache struct {
	good       bool
	generation uint32
	published  []state.HostPort
	lacks      []string
}

// listHostPorts reports what is on record for pods that are there, and how the rules are. What is on
// record for a pod that is gone is left to the collection of garbage, unless no pods are wanted at
// all.
func listHostPorts(n *Node, want *state.Set, live *state.Live) error {
	live.Published = nil
	if n.HostPorts == nil {
		return nil
	}
	recorded, foreign, err := n.HostPorts.Records(n.Paths.HostPorts)
	if err != nil {
		return fmt.Errorf("read the records of host ports: %w", err)
	}
	for _, path := range foreign {
		live.Conflicts = append(live.Conflicts, state.Conflict{
			Key: state.Key{Kind: state.KindHostPort, Name: path}, Name: path,
			Owner:  "damaged, or not written by podnet's portmap plugin: no host port is kept by it",
			Remedy: "rm -r " + shell.Quote(path),
		})
	}
	if want.WantsBridge() {
		recorded = slices.DeleteFunc(recorded, func(p state.HostPort) bool { return !n.isPodVeth(p.Device) })
		live.Published = recorded
	}
	if len(recorded) == 0 {
		n.published = hostPortCache{}
		return nil
	}
	lacks, err := n.lacks(recorded)
	if err != nil {
		return fmt.Errorf("read the rules of host ports: %w", err)
	}
	for i, p := range recorded {
		p.Lacks = lacks[i]
		live.HostPorts.Add(p, state.OwnNode)
	}
	return nil
}

// lacks reads the rules unless it is known that nothing has changed.
func (n *Node) lacks(published []state.HostPort) ([]string, error) {
	before, known := n.Firewall.Generation()
	c := n.published
	if c.good && known && c.generation == before && slices.Equal(c.published, published) {
		return c.lacks, nil
	}
	lacks, counted, err := n.HostPorts.Lacks(n.Paths.HostPorts, published)
	if err != nil {
		return nil, err
	}
	after, _ := n.Firewall.Generation()
	n.published = hostPortCache{known && counted && before == after, before, published, lacks}
	return lacks, nil
}

// isPodVeth reports whether the last look at the links has found a host veth of podnet's own network.
func (n *Node) isPodVeth(name string) bool {
	l, ok := n.Links[name]
	return ok && l.Attrs().Group == device.GroupPod
}

// applyHostPort has the plugin's own code do it, under the plugins' lock.
func (n *Node) applyHostPort(c *state.Change) error {
	p := c.Object().(state.HostPort)
	do := n.HostPorts.Restore
	if c.Op == state.Delete {
		do = n.HostPorts.Withdraw
	}
	if err := do(n.Paths.HostPorts, p.Record); err != nil {
		return fmt.Errorf("host ports of %s (%s): %w", p.Device, p.Ports, err)
	}
	return nil
}
