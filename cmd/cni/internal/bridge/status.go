package bridge

import (
	"errors"

	"github.com/podnet/podnet/cmd/cni/internal/delegate"
	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/rtnl"
)

// mostPorts is how many ports the kernel gives a bridge.
const mostPorts = 1023

// status fails only where an ADD would. A bridge that is not there is no fault: an ADD would make it, and a runtime that
// waits for a STATUS without a fault before the first ADD would wait for ever.
func status(req *protocol.Request) error {
	c, err := decode(req)
	if err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return err
	}
	h, err := rtnl.Dial()
	if err != nil {
		return err
	}
	defer h.Close()
	if err := statusOfBridge(h, c.Bridge); err != nil {
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

func statusOfBridge(h *rtnl.Conn, name string) error {
	br, err := findBridge(h, name)
	var conflict *protocol.Error
	switch {
	case errors.Is(err, rtnl.ErrNoLink):
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
		return protocol.Errorf(protocol.CodeNotReady, "the bridge %s has %d of %d ports: fewer pods on this node", name, len(ports), mostPorts)
	}
	return nil
}
