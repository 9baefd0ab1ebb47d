package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
)

// ensureGateway gives the link that is the pods' gateway its addresses and has the host forward. It
// writes nothing that is right already.
func (c *call) ensureGateway(link *netlink.Link, wanted []netip.Prefix) error {
	have, err := addrsOf(c.host, link)
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", link.Name, err)
	}
	others := slices.DeleteFunc(slices.Clone(have), func(p netip.Prefix) bool {
		return slices.Contains(wanted, p)
	})
	var messages []*netlink.Message
	for _, w := range wanted {
		if slices.Contains(have, w) {
			continue
		}
		if err := c.makeRoom(link, others, w); err != nil {
			return err
		}
		messages = append(messages, addAddr(link.Index, w, c.EnableDAD))
	}
	if len(messages) > 0 {
		if err := c.addGateways(link, wanted, messages); err != nil {
			return err
		}
	}
	return ensureForwarding(c.host, wanted)
}

// makeRoom deals with those of the link's other addresses that a wanted one cannot stand beside. Those of this
// network's own gateways can: pods of its other ranges have them for their gateway.
func (c *call) makeRoom(link *netlink.Link, others []netip.Prefix, w netip.Prefix) error {
	for _, old := range others {
		if !conflicts(old, w) {
			continue
		}
		own, err := c.ownGateways()
		if err != nil {
			return err
		}
		if slices.Contains(own, old) {
			continue
		}
		if !c.ForceAddress {
			return protocol.Errorf(protocol.CodeConflict,
				"%s has the address %s, which is not %s nor another gateway of this network: "+
					"give the network a bridge of its own, "+
					"or leave %s in ipam.ranges while pods have it for their gateway; "+
					"if nothing uses it any more: ip addr del %s dev %s "+
					"(forceAddress does that too, and cuts off whoever uses it)",
				link.Name, old, w, old.Masked(), old, link.Name)
		}
		err = c.host.Do(netlink.DelAddr(link.Index, old))
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("remove address %s from %s: %w", old, link.Name, err)
		}
	}
	return nil
}

// ownGateways returns the gateways of all of the network's ranges.
func (c *config) ownGateways() ([]netip.Prefix, error) {
	if c.local == nil {
		return nil, nil
	}
	sets, err := c.local.Sets()
	var all []netip.Prefix
	for _, r := range slices.Concat(sets...) {
		all = append(all, netip.PrefixFrom(r.Gateway, r.Subnet.Bits()))
	}
	return all, err
}

// addGateways adds addresses. A bridge keeps its MAC from now on, as pods remember it;
// prepareBridge has seen to that of one without ports that are up.
func (c *call) addGateways(link *netlink.Link, wanted []netip.Prefix, messages []*netlink.Message) error {
	if slices.ContainsFunc(wanted, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
		if err := c.allowIPv6(link); err != nil {
			return err
		}
	}
	if link.Kind == "bridge" && link.OperUp() && !c.owns(link) {
		messages = append([]*netlink.Message{netlink.SetMAC(link.Index, link.MAC)}, messages...)
	}
	answers, err := c.host.Exchange(messages...)
	for _, a := range answers {
		if err == nil && !errors.Is(a.Err, unix.EEXIST) {
			err = a.Err
		}
	}
	if err != nil {
		return fmt.Errorf("add the gateways' addresses %v to %s: %w", wanted, link.Name, err)
	}
	return nil
}

// allowIPv6 switches IPv6 on for a link that the plugin has made. Of one that somebody else made it
// names the setting.
func (c *call) allowIPv6(link *netlink.Link) error {
	switch {
	case !link.HasIPv6():
		return noIPv6(link.Name)
	case !link.IPv6Off():
		return nil
	case c.started || link.Kind == "veth":
		return writeSettings(device.AllowIPv6(link.Name))
	}
	return ipv6Off(link.Name)
}

func noIPv6(link string) *protocol.Error {
	return protocol.Errorf(protocol.CodeConfig,
		"%s can have no IPv6 address: its mtu is under 1280, or the kernel has no IPv6", link)
}

func ipv6Off(link string) *protocol.Error {
	off := device.AllowIPv6(link)
	return protocol.Errorf(protocol.CodeConfig,
		"IPv6 is off on %s, so that it can have no gateway's address: "+
			"sysctl -w %s=%s, or leave the IPv6 ranges out", link, off.Path, off.Value)
}

// conflicts reports whether two addresses cannot be on one bridge. It has one IPv4 address beside
// those that are wanted, and no two IPv6 networks that overlap.
func conflicts(a, b netip.Prefix) bool {
	return a.Addr().Is4() && b.Addr().Is4() || a.Overlaps(b)
}

func addAddr(index int, p netip.Prefix, dad bool) *netlink.Message {
	if p.Addr().Is6() && !dad {
		return netlink.AddAddr(index, p, unix.IFA_F_NODAD)
	}
	return netlink.AddAddr(index, p, 0)
}

func addrsOf(h *netlink.Conn, link *netlink.Link) ([]netip.Prefix, error) {
	list, err := h.Addrs(link.Index)
	var addrs []netip.Prefix
	for _, a := range list {
		addrs = append(addrs, a.Prefix)
	}
	return addrs, err
}
