package state

// Kind is one sort of object that a node holds. Kinds are numbered in their order of creation; deletion goes backwards.
type Kind uint8

// The kinds, in order: a link is made down, gets its sysctls and addresses, goes up, and only then carries peers; a
// peer's neighbour and FDB entry come before its route; the conflist, which tells the runtime that the node is ready, is
// last.
const (
	KindLink Kind = iota
	KindLinkSysctl
	KindAddr
	KindLinkUp
	KindNeigh
	KindFDB
	KindRoute
	KindChain
	KindSysctl
	KindBridgePort
	KindConflist
	KindCount int = iota
)

// kind is what the package can do with one sort of object.
type kind struct {
	name string // as plans and statuses call it
	own  bool   // a part of the node itself, not of a peer or a pod: the conflist waits for it
	rows func(*Set) rows
	list func(*Node, *Set, *Live) error
	// apply carries out changes of this kind, all of them creations and updates or all of them deletions, and leaves in
	// each what became of it.
	apply func(*Node, []*Change)
}

// kinds is the one place that knows them all, in the order of the constants. It is a function so that the operations may
// refer to it.
func kinds() *[KindCount]kind {
	return &[KindCount]kind{
		KindLink:       {"link", true, func(s *Set) rows { return &s.Links }, listLinks, each((*Node).applyLink)},
		KindLinkSysctl: {"sysctl", true, func(s *Set) rows { return &s.LinkSysctls }, listLinkSysctls, each(applySysctl)},
		KindAddr:       {"addr", true, func(s *Set) rows { return &s.Addrs }, listAddrs, each((*Node).applyAddr)},
		KindLinkUp:     {"link", true, func(s *Set) rows { return &s.LinksUp }, listLinksUp, each((*Node).applyLinkUp)},
		KindNeigh:      {"neigh", false, func(s *Set) rows { return &s.Neighs }, listNeighs, (*Node).applyNeighs},
		KindFDB:        {"fdb", false, func(s *Set) rows { return &s.FDB }, listFDB, (*Node).applyFDB},
		KindRoute:      {"route", false, func(s *Set) rows { return &s.Routes }, listRoutes, (*Node).applyRoutes},
		KindChain:      {"chain", true, func(s *Set) rows { return &s.Chains }, listChains, (*Node).applyChains},
		KindSysctl:     {"sysctl", true, func(s *Set) rows { return &s.Sysctls }, listSysctls, each(applySysctl)},
		KindBridgePort: {"bridgePort", false, func(s *Set) rows { return &s.Ports }, listPorts, each((*Node).applyPort)},
		KindConflist:   {"conflist", true, func(s *Set) rows { return &s.Conflists }, listConflist, each(applyConflist)},
	}
}

// String is the name that plans and statuses use; a link and its being up share one, and so do both sorts of sysctl.
func (k Kind) String() string { return kinds()[k].name }

// Own says that the kind is a part of the node itself, not of one of its peers or pods.
func (k Kind) Own() bool { return kinds()[k].own }

// each applies changes one by one, for the kinds of which a node has few.
func each(do func(*Node, *Change) error) func(*Node, []*Change) {
	return func(n *Node, changes []*Change) {
		for _, c := range changes {
			c.Err = do(n, c)
		}
	}
}
