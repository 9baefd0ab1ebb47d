package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/schema"
)

// Identity is what a host knows of itself.
type Identity struct {
	Node     string       // what the operator said it is; "": nothing
	Hostname string       // of the kernel
	Addrs    []netip.Addr // of all its links
}

// NoEntryError says that a topology has no entry for this node.
type NoEntryError struct{ File, Message, Remedy string }

func (e *NoEntryError) Error() string { return e.File + " " + e.Message + " (" + e.Remedy + ")" }

// Select finds the node's own entry: the one that the operator named; else the one named like the
// host, or like its first label; else the only one whose ip is local. A name that says one entry
// and addresses that say another are an error, never a guess.
func (id Identity) Select(t *schema.Topology) (*schema.Node, error) {
	if id.Node != "" {
		if n := t.Node(id.Node); n != nil {
			return n, nil
		}
		return nil, &NoEntryError{t.File, "has no entry named " + id.Node, "add one to nodes, or correct --node"}
	}
	label, _, _ := strings.Cut(id.Hostname, ".")
	named := t.Node(id.Hostname)
	if named == nil {
		named = t.Node(label)
	}
	local := id.local(t)
	switch {
	case named != nil && len(local) > 0 && !slices.Contains(local, named):
		return nil, fmt.Errorf("the host is called %s but has the address %s of %s: correct the host name or the entry, or say which with --node",
			id.Hostname, local[0].IP, local[0].Name)
	case named != nil:
		return named, nil
	case len(local) == 1:
		return local[0], nil
	case len(local) > 1:
		return nil, fmt.Errorf("this host has the addresses of %d entries, %s and %s among them: say which it is with --node",
			len(local), local[0].Name, local[1].Name)
	}
	return nil, &NoEntryError{t.File,
		fmt.Sprintf("has no entry for this node: none is named %s and no entry's ip is on this host", id.Hostname),
		"add one to nodes, or say which with --node"}
}

// local are the entries whose ip or localIP is on this host.
func (id Identity) local(t *schema.Topology) []*schema.Node {
	own := make(map[netip.Addr]bool, len(id.Addrs)) // of a host with service addresses there are thousands
	for _, a := range id.Addrs {
		own[a] = true
	}
	var out []*schema.Node
	for i := range t.Nodes {
		if n := &t.Nodes[i]; own[n.IP] || own[n.LocalIP] {
			out = append(out, &t.Nodes[i])
		}
	}
	return out
}
