package bridge

import (
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
)

// call is one call of the plugin: what the runtime asks for, read once, and the socket that the
// host's links are managed over.
type call struct {
	*protocol.Request
	*config
	host *netlink.Conn

	started bool // this call has set the bridge up
}

// open begins a call. Its host has to be closed.
func open(req *protocol.Request) (*call, error) {
	c, err := decode(req)
	if err != nil {
		return nil, err
	}
	host, err := netlink.Dial()
	if err != nil {
		return nil, err
	}
	return &call{Request: req, config: c, host: host}, nil
}

// vethName returns the name of the host's end of the attachment's veth.
func (c *call) vethName() string { return device.VethName(c.Network, c.ContainerID, c.IfName) }

// podAlias returns the alias that podnet gives that end.
func (c *call) podAlias() string { return device.PodAlias(c.Network, c.ContainerID, c.IfName) }
