package doctor

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/shell"
)

// conflicts are somebody else's objects in the way, as diff and status name them too.
func conflicts(f Subject) []document.Finding {
	if f.Plan == nil {
		return nil
	}
	var out []document.Finding
	for _, c := range f.Plan.Conflicts {
		id, severity, message := sort(c)
		if c.Remedy == "" { // it is a choice, which validate says with the lines
			c.Remedy = fmt.Sprintf("podnetctl validate --node %s %s", f.Plan.Node.Name, shell.Quote(f.Paths.Topology))
		}
		out = append(out, document.Finding{
			ID: id, Severity: severity, Object: c.Object(), Owner: c.Owner,
			Message: message,
			Remedy:  c.Remedy,
		})
	}
	return out
}

func sort(c state.Conflict) (id string, severity document.Severity, message string) {
	switch {
	case c.Key.Kind == state.KindChain && c.Blocks:
		return "table-unreadable", document.SeverityError, "what is in it is unknown, and nothing can be healed there"
	case c.Key.Kind == state.KindChain && c.Key.Name == "INPUT":
		return "input-closed", document.SeverityError, "the tunnel's packets have to get in"
	case c.Key.Kind == state.KindChain:
		return "foreign-chain", document.SeverityError, "it decides over pods' packets beside podnet's chains"
	case c.Key.Kind == state.KindSysctl && strings.HasSuffix(c.Key.Name, "/forwarding"):
		return "forwarding-off", document.SeverityWarning,
			"the link that pods' packets leave the host by has to forward what comes back"
	case c.Key.Kind == state.KindSysctl && strings.HasSuffix(c.Key.Name, "/nf_conntrack_max"):
		return "conntrack-table", document.SeverityError, "a connection that is not in the table gets no packet through"
	case c.Key.Kind == state.KindSysctl:
		return "rp-filter", document.SeverityWarning, "the filter has to be loose (2) or off (0) on this link"
	case c.Key.Name == kernel.ByRule:
		return "policy-rule", document.SeverityError,
			"pods' packets, and the tunnel's, have to be looked up in table main, where podnet's routes are"
	case c.Key.Name == kernel.ByIPsec:
		return "ipsec-policy", document.SeverityError, "pods' packets and the tunnel's have to get through as they are"
	case c.Key.Name == kernel.ByVRF:
		return "underlay-vrf", document.SeverityError, "no packet of the tunnel leaves the host or arrives"
	case c.Key.Kind == state.KindLinkUp:
		return "tunnel-port", document.SeverityError, "the tunnel cannot go up, and no pod can start"
	case c.Key.Name == kernel.ByLAN:
		return "lan-overlap", document.SeverityWarning, "pods are not disturbed"
	case c.Key.Kind == state.KindAddr:
		return "foreign-address", document.SeverityError, "pods' addresses have to be on the bridge alone"
	case c.Blocks:
		return "foreign-" + c.Key.Kind.String(), document.SeverityError,
			fmt.Sprintf("podnet's %s %s cannot be made while it is there", c.Key.Kind, name(c.Key))
	}
	return "foreign-" + c.Key.Kind.String(), document.SeverityError,
		"traffic for pods goes there instead of into the tunnel"
}

// name of the object that a key stands for.
func name(k state.Key) string {
	if k.Name != "" {
		return k.Name
	}
	return fmt.Sprintf("%s/%d", k.Addr, k.Bits)
}

// topology: the network runs on, but on an older file or on none.
func topology(f Subject) []document.Finding {
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
	return []document.Finding{{
		ID: "topology-refused", Severity: document.SeverityError, Object: f.Paths.Topology, Owner: "whoever wrote it",
		Message: f.Refused.Message,
		Remedy:  remedy,
	}}
}

// conflistOrder: runtimes take the first configuration in the order of names.
func conflistOrder(f Subject) []document.Finding {
	var out []document.Finding
	dir, ours := filepath.Split(f.Paths.Conflist)
	for _, name := range f.Host.Conflists {
		if name < ours {
			path := shell.Quote(filepath.Join(dir, name))
			out = append(out, document.Finding{
				ID: "conflist-order", Severity: document.SeverityError, Object: filepath.Join(dir,
					name), Owner: "another network plugin",
				Message: fmt.Sprintf("it sorts before %s: the runtime gives pods that network instead", ours),
				Remedy:  "mv " + path + " " + path + ".disabled",
			})
		}
	}
	return out
}
