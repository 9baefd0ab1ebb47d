package bridge

import (
	"errors"

	"github.com/podnet/podnet/cmd/cni/internal/delegate"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netlink"
)

// mostPorts is how many ports the kernel gives a bridge.
const mostPorts = 1023

// status fails only where an ADD would. A bridge that is not there is no fault: an ADD would make
// it, and a runtime that waits for a STATUS without a fault before the first ADD would wait for
// ever.
func status(req *protocol.Request) error {
	c, err := open(req)
	if err != nil {
		return err
	}
	defer c.host.Close()
	if err := c.validate(); err != nil {
		return err
	}
	if err := c.statusOfBridge(); err != nil || !c.layer3() {
		return err
	}
	if c.delegates() {
		return delegate.Status(req, c.ipam)
	}
	return c.local.Status()
}

// statusOfBridge returns why the bridge could not take a pod; nil if it could.
func (c *call) statusOfBridge() error {
	br, err := c.findBridge()
	var conflict *protocol.Error
	switch {
	case errors.Is(err, netlink.ErrNoLink):
		return nil
	case errors.As(err, &conflict):
		return protocol.Errorf(protocol.CodeLimited, "%w", err)
	case err != nil:
		return err
	}
	ports, err := c.host.Links(br.Index)
	if err != nil {
		return err
	}
	if len(ports) >= mostPorts {
		return protocol.Errorf(protocol.CodeNotReady,
			"the bridge %s has %d of %d ports: fewer pods on this node",
			c.Bridge, len(ports), mostPorts)
	}
	if !br.Up() || !br.IPv6Off() || !c.IsGateway || c.local == nil || c.VLAN != 0 {
		return nil
	}
	// A configuration that is wrong is for host-local to report.
	if _, ipv6, err := c.families(); err == nil && ipv6 {
		return protocol.Errorf(protocol.CodeNotReady, "%w", ipv6Off(br.Name))
	}
	return nil
}
