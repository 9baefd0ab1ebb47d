package bridge

import (
	"errors"

	"github.com/podnet/podnet/cmd/cni/internal/delegate"
	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netlink"
)

// mostPorts is how many ports the kernel gives a bridge.
const mostPorts = 1023

// status fails only where an ADD would. A bridge that is not there is no fault: an ADD would make
// it, and a runtime that waits for a STATUS without a fault before the first ADD would wait for
// ever.
func status(req *protocol.Request) error {
	c, err := decode(req)
	if err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return err
	}
	h, err := netlink.Dial()
	if err != nil {
		return err
	}
	defer h.Close()
	if err := c.statusOfBridge(req, h); err != nil {
		return err
	}
	switch c.IPAM.Type {
	case "":
		return nil
	case hostlocal.Type:
		return hostlocal.Status(req)
	}
	return delegate.Status(req, c.IPAM.Type)
}

func (c *config) statusOfBridge(req *protocol.Request, h *netlink.Conn) error {
	br, err := findBridge(h, c.Bridge)
	var conflict *protocol.Error
	switch {
	case errors.Is(err, netlink.ErrNoLink):
		return nil
	case errors.As(err, &conflict):
		return protocol.Errorf(protocol.CodeLimited, "%w", err)
	case err != nil:
		return err
	}
	ports, err := h.Links(br.Index)
	if err != nil {
		return err
	}
	if len(ports) >= mostPorts {
		return protocol.Errorf(protocol.CodeNotReady, "the bridge %s has %d of %d ports: fewer pods on this node", c.Bridge, len(ports), mostPorts)
	}
	if !br.Up() || !br.IPv6Off() || !c.IsGateway || c.IPAM.Type != hostlocal.Type || c.VLAN != 0 {
		return nil
	}
	if _, ipv6, err := c.families(req); err == nil && ipv6 { // a configuration that is wrong is for host-local to report
		return protocol.Errorf(protocol.CodeNotReady, "%w", ipv6Off(br.Name))
	}
	return nil
}
