package kernel

import "github.com/podnet/podnet/state"

// kind is what the package can do with one sort of object.
type kind struct {
	list func(*Node, *state.Set, *state.Live) error
	// apply carries out changes of this kind, all of them creations and updates or all of them
	// deletions, and leaves in each what became of it.
	apply func(*Node, []*state.Change)
}

// kinds is what can be done with each. It is a function so that the operations may refer to it;
// what is asked of a kind for every object is not in it.
func kinds() *[state.KindCount]kind {
	return &[state.KindCount]kind{
		state.KindLink:       {listLinks, each((*Node).applyLink)},
		state.KindLinkSysctl: {listLinkSysctls, each(applySysctl)},
		state.KindAddr:       {listAddrs, each((*Node).applyAddr)},
		state.KindLinkUp:     {listLinksUp, each((*Node).applyLinkUp)},
		state.KindTunnelSource: {
			func(n *Node, want *state.Set, live *state.Live) error { return n.Firewall.ListSources(want, live) },
			func(n *Node, changes []*state.Change) { n.Firewall.ApplySources(changes) },
		},
		state.KindNeigh:      {listNeighs, (*Node).applyNeighs},
		state.KindFDB:        {listFDB, (*Node).applyFDB},
		state.KindRoute:      {listRoutes, (*Node).applyRoutes},
		state.KindChain:      {listChains, applyChains},
		state.KindSysctl:     {listSysctls, each(applySysctl)},
		state.KindBridgePort: {listPorts, (*Node).applyPorts},
		state.KindHostPort:   {listHostPorts, each((*Node).applyHostPort)},
		state.KindConflist:   {listConflist, each(applyConflist)},
	}
}

// each applies changes one by one, for the kinds of which a node has few.
func each(do func(*Node, *state.Change) error) func(*Node, []*state.Change) {
	return func(n *Node, changes []*state.Change) {
		for _, c := range changes {
			c.Err = do(n, c)
		}
	}
}
