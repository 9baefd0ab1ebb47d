package kernel

import (
	"net"
	"net/netip"
)

// HostAddr is an address of this host.
type HostAddr struct {
	netip.Prefix
	Link string
}

// HostAddrs are all addresses of this host with their links.
func (n *Node) HostAddrs() ([]HostAddr, error) {
	if err := n.ReadLinks(); err != nil {
		return nil, err
	}
	addrs, err := n.listAddresses()
	if err != nil {
		return nil, err
	}
	var out []HostAddr
	for _, a := range addrs {
		out = append(out, HostAddr{prefixOf(a.IPNet), n.Name(a.LinkIndex)})
	}
	return out, nil
}

// HostLink is a device of this host as it is; without Index there is none.
type HostLink struct {
	Name  string
	Index int
	Up    bool
	MTU   int
}

// HostLink looks a device up in the last look at all of them.
func (n *Node) HostLink(name string) HostLink {
	l, ok := n.Links[name]
	if !ok {
		return HostLink{Name: name}
	}
	a := l.Attrs()
	return HostLink{name, a.Index, a.Flags&net.FlagUp != 0, a.MTU}
}
