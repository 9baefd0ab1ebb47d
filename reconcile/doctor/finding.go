// Package doctor says what on a host would fight or break podnet. It is pure: facts in, findings
// out.
package doctor

import (
	"cmp"
	"slices"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/inspect"
	"github.com/podnet/podnet/state/inspect/host"
	"github.com/podnet/podnet/state/kernel"
)

// Subject is all that the checks go by. Without a topology Plan is nil, and only what does not
// depend on one is checked.
type Subject struct {
	Host      host.Settings
	Plan      *reconcile.Plan
	Paths     state.Paths
	Bridge    string
	Tunnel    string
	Network   string // the name in the conflist; "": nobody knows
	Untrusted []files.Untrusted
	Offloads  []inspect.Offload // of the tunnel and of the underlay
	// what closes the tunnel's port for untrusted sources; "": it is closed, or nobody knows
	Open     string
	Other    []firewall.OtherRules
	Proxies  []inspect.Proxy // that do not see packets between pods of this node
	Tracking kernel.Tracking
	Claim    inspect.Claim   // of the node's ip, by other hosts
	Refused  document.OnDisk // the topology on disk, if it is not followed; without a Reason it is, or there is none
	Runtimes Runtimes

	Ready, Degraded document.Condition // of the node; the zero Condition: nobody knows
	Daemon          bool               // podnetd runs
}

// Check is every finding, errors first.
func Check(f Subject) []document.Finding {
	all := []document.Finding{}
	for _, check := range []func(Subject) []document.Finding{
		conflicts, topology, health, CheckRuntimes, conflistOrder, iptables, openTunnel, proxies, mtu, neighbours, tracking, claim, networkd, macPolicy, networkManager, offload, writable,
	} {
		all = append(all, check(f)...)
	}
	slices.SortStableFunc(all, func(a, b document.Finding) int { return cmp.Compare(a.Severity, b.Severity) })
	return all
}

// devices are podnet's as other programs' configuration would match them; a host veth stands for
// all.
func (f Subject) devices() []host.Device {
	return []host.Device{{Name: f.Bridge, Kind: "bridge"}, {Name: f.Tunnel, Kind: "vxlan"},
		{Name: "veth0123456789a", Kind: "veth"}}
}
