package state

// Kind is one sort of object that a node holds. Kinds are numbered in their order of creation;
// deletion goes backwards.
type Kind uint8

// The kinds, in order: a link is made down, gets its sysctls and addresses, goes up, and only then
// carries peers; a peer's neighbour and FDB entry come before its route; what a pod may send from is
// known before the chain that drops the rest; the conflist, which tells the runtime that the node is
// ready, is last.
const (
	KindLink Kind = iota
	KindLinkSysctl
	KindAddr
	KindLinkUp
	KindTunnelSource
	KindNeigh
	KindFDB
	KindRoute
	KindBridgePort
	KindChain
	KindSysctl
	KindHostPort
	KindConflist
	KindCount int = iota
)

// String is the name that plans and statuses use; a link and its being up share one, and so do both
// sorts of sysctl.
func (k Kind) String() string {
	return [KindCount]string{
		"link", "sysctl", "addr", "link", "tunnelSource", "neigh", "fdb", "route", "bridgePort", "chain", "sysctl",
		"hostPort", "conflist",
	}[k]
}

// Own says that the kind is a part of the node itself, not of one of its peers or pods: the
// conflist waits for it.
func (k Kind) Own() bool {
	return !Kinds(0).With(KindTunnelSource, KindNeigh, KindFDB, KindRoute, KindBridgePort, KindHostPort).Has(k)
}

// Kinds is a set of them.
type Kinds uint16

// AllKinds are all that there are.
const AllKinds Kinds = 1<<KindCount - 1

// With is the set with more of them.
func (s Kinds) With(kinds ...Kind) Kinds {
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has says whether a kind is in the set.
func (s Kinds) Has(k Kind) bool { return s>>k&1 != 0 }

// Disturbed are the kinds that may look different after objects of these kinds were changed: a
// change of a device, its addresses or the host's settings can take anything along, a change of a
// peer's or pod's entry concerns nothing else.
func (s Kinds) Disturbed() Kinds {
	if s&^Kinds(0).With(KindTunnelSource, KindNeigh, KindFDB, KindRoute, KindChain, KindBridgePort, KindHostPort,
		KindConflist) != 0 {
		return AllKinds
	}
	return s
}

// TableOf is a set's objects of a kind.
func (s *Set) TableOf(k Kind) rows {
	return [KindCount]rows{
		&s.Links, &s.LinkSysctls, &s.Addrs, &s.LinksUp, &s.TunnelSources, &s.Neighs, &s.FDB, &s.Routes, &s.Ports, &s.Chains,
		&s.Sysctls, &s.HostPorts, &s.Conflists,
	}[k]
}
