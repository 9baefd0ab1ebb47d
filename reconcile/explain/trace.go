package explain

import (
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
)

// Place is where a destination is.
type Place uint8

// The places.
const (
	Peer     Place = iota // in another node's podCIDR
	Here                  // a pod of this node
	Self                  // an address of this node itself
	PeerHost              // an underlay address of another node
	Nobody                // in the cluster's ranges and in no node's podCIDR, or in this node's without a pod
	Outside               // of the cluster
)

// Source is where a packet comes from: a pod of this node, or the node.
type Source struct {
	Addr netip.Addr
	Name string    // of the pod, for a person
	Pod  *PodFacts // nil: the node itself, or somebody outside of it

	Outside bool // it is no address of this node or its pods
}

// Target is where it should go.
type Target struct {
	Addr    netip.Addr
	Place   Place
	Node    *schema.Node // whose podCIDR has it; nil: nobody's
	Gateway bool         // it is the first host address of the node's podCIDR, the bridge's
	Pod     *PodFacts    // Here
	Port    uint16       // 0: none in particular
}

// Prefix is the podCIDR that the destination is in.
func (t Target) Prefix() netip.Prefix { return podCIDR(t.Node, t.Addr) }

func podCIDR(n *schema.Node, a netip.Addr) netip.Prefix {
	if n != nil {
		for _, p := range n.PodCIDRs {
			if p.Contains(a) {
				return p
			}
		}
	}
	return netip.Prefix{}
}

// PodFacts is one pod of this node and its place on the bridge.
type PodFacts struct {
	pods.Pod
	End       kernel.PodEnd
	Namespace string          // a file that leads into it; "": none was found
	Route     *kernel.Routing // what the pod's own routing says of the destination; nil: nobody could look
}

// Trace are what was found on the way of one packet. What does not concern its way is zero.
type Trace struct {
	*Site
	From Source
	To   Target

	Route    kernel.Routing    // as the packet meets it behind the pod
	Hop      kernel.Resolution // of the next hop
	FDB      state.FDB
	Underlay kernel.Routing    // to the peer
	Beyond   kernel.Resolution // of the next hop on the underlay
	Probe    *Probe            // nil: nothing was sent

	Arrival  kernel.Routing // the way back to a sender from outside: by its device it comes in
	Protocol string         // of the port
	Asked    netip.AddrPort // the destination before it was translated; invalid: it is To
	By       string         // the rule that translates it

	Masquerade netip.Addr // with which pods' packets leave the cluster; invalid: unknown
	Connected  bool       // table main has the route to the subnet of this host's that the peer is in
}

// Site is what all packets of this node share.
type Site struct {
	reconcile.View
	MTU      int // of pods, bridge and vxlan device
	Bridge   kernel.HostLink
	Tunnel   kernel.HostLink
	Addrs    []kernel.HostAddr
	Links    map[string]kernel.HostLink // of the addresses
	Forwards map[bool]bool              // whether the bridge forwards, by the family's being IPv4
	Firewall map[bool]firewall.Filters
	Unread   map[bool]error  // why a firewall could not be read, by the family's being IPv4
	Bridged  bool            // frames between pods go through the firewall
	Daemon   string          // what there is to say of it where its work is wanted
	Plan     *reconcile.Plan // what podnet itself finds amiss on this node; nil: nobody has looked
}

// line is where the topology has the destination's node.
func (f *Trace) line() string { return f.place(f.To.Node) }

func (f *Trace) place(n *schema.Node) string {
	return fmt.Sprintf("%s:%d", filepath.Base(f.Topology.File), n.Line)
}

// wantRoute, and the rest of what podnet should have set up for the destination.
func (f *Trace) wantRoute() state.Route {
	p := f.To.Prefix()
	r, _, _ := f.Want.Routes.Find(state.Route{Dst: p, Metric: state.PeerMetric(p)}.Key())
	return r
}

func (f *Trace) wantNeigh() state.Neigh {
	e, _, _ := f.Want.Neighs.Find(state.Neigh{Device: f.Tunnel.Name, IP: f.wantRoute().Via}.Key())
	return e
}

func (f *Trace) wantFDB() state.FDB {
	e, _, _ := f.Want.FDB.Find(state.FDB{Device: f.Tunnel.Name, MAC: f.To.Node.VTEPMAC}.Key())
	return e
}

// owner names the node that has an underlay address.
func (f *Trace) owner(ip netip.Addr) string {
	if n := f.ownerOf(ip); n != nil {
		return n.Name
	}
	return "no node of this cluster"
}

// Host is what podnet takes from its host.
func (f *Trace) Host() state.Facts { return f.View.Facts }
