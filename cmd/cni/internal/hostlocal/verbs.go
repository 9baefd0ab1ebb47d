package hostlocal

import (
	"net"
	"net/netip"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// Verbs is the stand-alone plugin.
func Verbs() protocol.Verbs { return protocol.Verbs{Add: add, Del: del, Check: check} }

func add(req *protocol.Request) (*current.Result, error) {
	a, err := Allocate(req)
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

func del(req *protocol.Request) error { return Release(req) }

func check(req *protocol.Request) error {
	held, err := Held(req)
	if err == nil && len(held) == 0 {
		return protocol.Errorf(protocol.CodeChanged, "host-local: container %s has no lease for %s in network %s: DEL and ADD it again",
			req.ContainerID, req.IfName, req.Network)
	}
	return err
}
