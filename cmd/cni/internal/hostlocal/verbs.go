package hostlocal

import (
	"net"
	"net/netip"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/ipam"
)

// Verbs returns what the stand-alone plugin does.
func Verbs() protocol.Verbs {
	return protocol.Verbs{Add: add, Del: del, Check: check, Status: status, GC: gc}
}

func add(req *protocol.Request) (*current.Result, error) {
	c, err := Read(req)
	if err != nil {
		return nil, err
	}
	a, err := c.allocate(unbound)
	if err != nil {
		return nil, err
	}
	r := &current.Result{Routes: a.Routes, DNS: a.DNS}
	for _, g := range a.Grants {
		ip := &current.IPConfig{Address: ipNet(g.Addr), Gateway: g.Gateway.AsSlice()}
		r.IPs = append(r.IPs, ip)
	}
	return r, nil
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func del(req *protocol.Request) error {
	c, err := Read(req)
	if err != nil {
		return err
	}
	h, err := c.Hold()
	if err != nil {
		return err
	}
	return h.Release()
}

func check(req *protocol.Request) error {
	c, err := Read(req)
	if err != nil {
		return err
	}
	held, err := c.Held()
	if err == nil && len(held) == 0 {
		return protocol.Errorf(protocol.CodeChanged,
			"host-local: container %s has no lease for %s in network %s: DEL and ADD it again",
			c.ContainerID, c.IfName, c.Network)
	}
	return err
}

func status(req *protocol.Request) error {
	c, err := Read(req)
	if err != nil {
		return err
	}
	return c.Status()
}

func gc(req *protocol.Request) error {
	valid, told, err := req.ValidAttachments()
	if err != nil || !told {
		return err
	}
	c, err := Read(req)
	if err != nil {
		return err
	}
	return c.Retain(valid)
}

// Retain frees the network's leases but those of valid attachments.
func (c *Call) Retain(valid protocol.Attachments) error {
	s, err := c.store()
	if err != nil {
		return err
	}
	_, err = s.Retain(protocol.NewPatience(), func(o ipam.Owner) bool {
		return valid.Has(o.ContainerID, o.IfName)
	})
	return storeError(err)
}

// InFlight returns the attachments without a place among the valid ones that another process is
// adding or deleting now.
func (c *Call) InFlight(valid protocol.Attachments) (protocol.Attachments, error) {
	s, err := c.store()
	if err != nil {
		return nil, err
	}
	owners, err := s.InFlight(protocol.NewPatience(), func(o ipam.Owner) bool {
		return !valid.Has(o.ContainerID, o.IfName)
	})
	found := protocol.Attachments{}
	for _, o := range owners {
		found[protocol.Attachment(o)] = true
	}
	return found, storeError(err)
}

// Leases returns those of the network, as they are at this moment.
func (c *Call) Leases() ([]ipam.Lease, error) {
	s, err := c.store()
	if err != nil {
		return nil, err
	}
	var leases []ipam.Lease
	for l, err := range s.Leases() {
		if err != nil {
			return nil, storeError(err)
		}
		leases = append(leases, l)
	}
	return leases, nil
}
