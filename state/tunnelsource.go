package state

import "net/netip"

// TunnelSource is an address from which this node's tunnel takes packets: an underlay address of a
// peer. It is an element of a set of nftables.
type TunnelSource struct{ Addr netip.Addr }

func (s TunnelSource) Key() Key      { return Key{Kind: KindTunnelSource, Addr: s.Addr} }
func (s TunnelSource) Parent() Key   { return Key{} }
func (s TunnelSource) Name() string  { return s.Addr.String() }
func (s TunnelSource) Attrs() string { return "may send to the tunnel" }

// The chains of nftables that keep all but peers out of the tunnel, and the set of the peers'
// addresses that they go by.
const (
	TunnelChain     = "tunnel-senders" // what is delivered to this host
	TunnelPodsChain = "tunnel-pods"    // what pods send to other nodes
	TunnelSet       = "tunnel-peers"
)
