package bridge

import (
	"errors"
	"maps"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/delegate"
	"github.com/podnet/podnet/cmd/cni/internal/masquerade"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/spoof"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/netlink"
)

// gc removes what attachments of this network left that the runtime does not know any more: veths,
// neighbours, the leases, as nobody may have an address that a pod still has, and the rules that
// either backend has for them. Another network's are never touched, whatever they share: a veth is
// known by the name that network, container and interface give, together with an alias that says
// the same, or a lease that does so while no alias says otherwise.
func gc(req *protocol.Request) error {
	valid, told, err := req.ValidAttachments()
	if err != nil || !told {
		return err
	}
	c, err := open(req)
	if err != nil {
		return err
	}
	defer c.host.Close()
	// Before the leases: whoever has a veth has held its lease by then.
	links, err := c.host.Links(0)
	if err != nil {
		return err
	}
	if valid, err = c.withThoseInFlight(valid); err != nil {
		return err
	}
	leases, err := c.leases()
	if err != nil {
		return err
	}
	if err := c.collectNeighbours(leases, valid); err != nil {
		return err
	}
	if err := c.collectVeths(links, leases, valid); err != nil {
		return err
	}
	if err := c.collectGuards(leases, valid); err != nil {
		return err
	}
	if err := c.collectSenders(); err != nil {
		return err
	}
	if err := c.collectAddresses(valid); err != nil {
		return err
	}
	return masquerade.Collect(req.Network, valid)
}

// collectGuards removes the rules of macspoofchk that are there for ports which have gone, or for
// pods that have a lease of this network and are not valid: the rules do not name the network.
func (c *call) collectGuards(leases []ipam.Lease, valid protocol.Attachments) error {
	invalid := map[string]bool{}
	for _, l := range leases {
		o := l.Owner
		invalid[o.ContainerID+"-"+o.IfName] = !valid.Has(o.ContainerID, o.IfName)
	}
	var failed error
	err := spoof.Collect(func(port, name string) bool {
		if invalid[name] {
			return true
		}
		_, err := c.host.LinkByName(port)
		if err != nil && !errors.Is(err, netlink.ErrNoLink) {
			failed = errors.Join(failed, err)
		}
		return errors.Is(err, netlink.ErrNoLink)
	})
	return errors.Join(err, failed)
}

// withThoseInFlight adds the attachments to the valid ones that are being added or deleted at this
// moment: half of what they have is not to be taken from under another process. The next GC sees
// what has become of them.
func (c *call) withThoseInFlight(valid protocol.Attachments) (protocol.Attachments, error) {
	if c.local == nil {
		return valid, nil
	}
	all, err := c.local.InFlight(valid)
	if err != nil {
		return nil, err
	}
	maps.Copy(all, valid)
	return all, nil
}

// leases returns the leases of the network, if they are kept by host-local.
func (c *call) leases() ([]ipam.Lease, error) {
	if c.local == nil {
		return nil, nil
	}
	return c.local.Leases()
}

// collectAddresses has whoever gave the addresses free those of attachments that are not valid.
func (c *call) collectAddresses(valid protocol.Attachments) error {
	switch {
	case !c.layer3():
		return nil
	case c.delegates():
		return delegate.GC(c.Request, c.ipam)
	}
	return c.local.Retain(valid)
}

// collectNeighbours removes the entries of addresses that attachments have which are not valid.
func (c *call) collectNeighbours(leases []ipam.Lease, valid protocol.Attachments) error {
	br, err := c.findBridge()
	if err == nil {
		br, err = c.gatewayLink(br)
	}
	if err != nil {
		return nil // its neighbours went with it
	}
	var addrs []netip.Addr
	for _, l := range leases {
		if !valid.Has(l.Owner.ContainerID, l.Owner.IfName) {
			addrs = append(addrs, l.Addr)
		}
	}
	return dropNeighbours(c.host, br, addrs)
}

// collectVeths deletes the host's ends of invalid attachments, all in one request.
func (c *call) collectVeths(links []*netlink.Link, leases []ipam.Lease, valid protocol.Attachments) error {
	leased := map[string]bool{} // names of veths
	for _, l := range leases {
		o := l.Owner
		name := device.VethName(c.Network, o.ContainerID, o.IfName)
		leased[name] = o.IfName != "" && !valid.Has(o.ContainerID, o.IfName)
	}
	var dead []*netlink.Message
	for _, l := range links {
		if l.Kind == "veth" && (!namesPod(l) && leased[l.Name] || aliasInvalid(c.Network, l, valid)) {
			dead = append(dead, netlink.SetGroup(l.Index, device.GroupDeleting))
		}
	}
	if len(dead) == 0 {
		return nil
	}
	answers, err := c.host.Exchange(append(dead, netlink.DelGroup(device.GroupDeleting))...)
	for _, a := range answers {
		if err == nil && !errors.Is(a.Err, unix.ENODEV) {
			err = a.Err
		}
	}
	return err
}

// aliasInvalid reports whether a veth's alias and name are those of an attachment to the network
// that is not valid.
func aliasInvalid(network string, l *netlink.Link, valid protocol.Attachments) bool {
	name, id, ifname, ok := device.ParsePodAlias(l.Alias)
	if !ok || name != network || l.Name != device.VethName(network, id, ifname) {
		return false
	}
	return !valid.Has(id, ifname)
}
