package doctor

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/shell"
)

// conflicts are somebody else's objects in the way, as diff and status name them too.
func conflicts(f Facts) []Finding {
	if f.Plan == nil {
		return nil
	}
	var out []Finding
	for _, c := range f.Plan.Conflicts {
		id, severity, message := sort(c)
		if c.Remedy == "" { // it is a choice, which validate says with the lines
			c.Remedy = fmt.Sprintf("podnetctl validate --node %s %s", f.Plan.Node.Name, shell.Quote(f.Paths.Topology))
		}
		out = append(out, Finding{id, severity, c.Object(), c.Owner, message, c.Remedy})
	}
	return out
}

func sort(c state.Conflict) (id string, severity Severity, message string) {
	switch {
	case c.Key.Kind == state.KindChain && c.Blocks:
		return "table-unreadable", Error, "what is in it is unknown, and nothing can be healed there"
	case c.Key.Kind == state.KindChain && c.Key.Name == "INPUT":
		return "input-closed", Error, "the tunnel's packets have to get in"
	case c.Key.Kind == state.KindChain:
		return "foreign-chain", Error, "it decides over pods' packets beside podnet's chains"
	case c.Key.Kind == state.KindSysctl && strings.HasSuffix(c.Key.Name, "/forwarding"):
		return "forwarding-off", Warning, "the link that pods' packets leave the host by has to forward what comes back"
	case c.Key.Kind == state.KindSysctl && strings.HasSuffix(c.Key.Name, "/nf_conntrack_max"):
		return "conntrack-table", Error, "a connection that is not in the table gets no packet through"
	case c.Key.Kind == state.KindSysctl:
		return "rp-filter", Warning, "the filter has to be loose (2) or off (0) on this link"
	case c.Key.Name == kernel.ByRule:
		return "policy-rule", Error, "pods' packets, and the tunnel's, have to be looked up in table main, where podnet's routes are"
	case c.Key.Name == kernel.ByIPsec:
		return "ipsec-policy", Error, "pods' packets and the tunnel's have to get through as they are"
	case c.Key.Name == kernel.ByVRF:
		return "underlay-vrf", Error, "no packet of the tunnel leaves the host or arrives"
	case c.Key.Kind == state.KindLinkUp:
		return "tunnel-port", Error, "the tunnel cannot go up, and no pod can start"
	case c.Key.Name == kernel.ByLAN:
		return "lan-overlap", Warning, "pods are not disturbed"
	case c.Key.Kind == state.KindAddr:
		return "foreign-address", Error, "pods' addresses have to be on the bridge alone"
	case c.Blocks:
		return "foreign-" + c.Key.Kind.String(), Error, fmt.Sprintf("podnet's %s %s cannot be made while it is there", c.Key.Kind, name(c.Key))
	}
	return "foreign-" + c.Key.Kind.String(), Error, "traffic for pods goes there instead of into the tunnel"
}

// name of the object that a key stands for.
func name(k state.Key) string {
	if k.Name != "" {
		return k.Name
	}
	return fmt.Sprintf("%s/%d", k.Addr, k.Bits)
}

// topology: the network runs on, but on an older file or on none.
func topology(f Facts) []Finding {
	if f.Refused.Reason == "" {
		return nil
	}
	remedy := "podnetctl diff" // says what speaks against it here, and how to go on
	switch f.Refused.Reason {
	case rollout.ReasonInvalid:
		remedy = "podnetctl validate " + shell.Quote(f.Paths.Topology)
	case rollout.ReasonRolledBack: // only who names the file means it all the same
		remedy = "podnetctl apply " + shell.Quote(f.Paths.Topology)
	}
	return []Finding{{"topology-refused", Error, f.Paths.Topology, "whoever wrote it", f.Refused.Message, remedy}}
}

// conflistOrder: runtimes take the first configuration in the order of names.
func conflistOrder(f Facts) []Finding {
	var out []Finding
	dir, ours := filepath.Split(f.Paths.Conflist)
	for _, name := range f.Host.Conflists {
		if name < ours {
			path := shell.Quote(filepath.Join(dir, name))
			out = append(out, Finding{
				"conflist-order", Error, filepath.Join(dir, name), "another network plugin",
				fmt.Sprintf("it sorts before %s: the runtime gives pods that network instead", ours), "mv " + path + " " + path + ".disabled",
			})
		}
	}
	return out
}
