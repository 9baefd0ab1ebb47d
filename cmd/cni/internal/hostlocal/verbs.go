package hostlocal

import (
	"net"
	"net/netip"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/ipam"
)

// Verbs is the stand-alone plugin.
func Verbs() protocol.Verbs {
	return protocol.Verbs{Add: add, Del: del, Check: check, Status: Status, GC: gc}
}

func add(req *protocol.Request) (*current.Result, error) {
	a, err := allocate(req, unbound)
	if err != nil {
		return nil, err
	}
	r := &current.Result{Routes: a.Routes, DNS: a.DNS}
	for _, g := range a.Grants {
		r.IPs = append(r.IPs, &current.IPConfig{Address: ipNet(g.Addr), Gateway: g.Gateway.AsSlice()})
	}
	return r, nil
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func del(req *protocol.Request) error {
	h, err := Hold(req)
	if err != nil {
		return err
	}
	return h.Release(req)
}

func check(req *protocol.Request) error {
	held, err := Held(req)
	if err == nil && len(held) == 0 {
		return protocol.Errorf(protocol.CodeChanged, "host-local: container %s has no lease for %s in network %s: DEL and ADD it again",
			req.ContainerID, req.IfName, req.Network)
	}
	return err
}

func gc(req *protocol.Request) error {
	valid, told, err := req.ValidAttachments()
	if err != nil || !told {
		return err
	}
	return Retain(req, valid)
}

// Retain frees the network's leases but those of valid attachments.
func Retain(req *protocol.Request, valid protocol.Attachments) error {
	s, err := openStore(req)
	if err != nil {
		return err
	}
	_, err = s.Retain(newPatience(), func(o ipam.Owner) bool { return valid.Has(o.ContainerID, o.IfName) })
	return storeError(err)
}

// InFlight returns the attachments without a place among the valid ones that another process is
// adding or deleting now.
func InFlight(req *protocol.Request, valid protocol.Attachments) (protocol.Attachments, error) {
	s, err := openStore(req)
	if err != nil {
		return nil, err
	}
	owners, err := s.InFlight(newPatience(), func(o ipam.Owner) bool { return !valid.Has(o.ContainerID, o.IfName) })
	found := protocol.Attachments{}
	for _, o := range owners {
		found[protocol.Attachment(o)] = true
	}
	return found, storeError(err)
}

// Leases are those of the network, as they are at this moment.
func Leases(req *protocol.Request) ([]ipam.Lease, error) {
	s, err := openStore(req)
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

// Sets are the range sets that an ADD takes an address of each from.
func Sets(req *protocol.Request) ([]ipam.Set, error) {
	f, err := parse(req)
	if err != nil {
		return nil, err
	}
	return f.sets()
}
