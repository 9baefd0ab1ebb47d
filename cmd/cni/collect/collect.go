package collect

import (
	"context"
	"errors"

	"github.com/podnet/podnet/cmd/cni/internal/portmap"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
)

// Garbage is what has been freed.
type Garbage struct {
	pods.Garbage
	Mappings int // host ports
}

// Len returns the number of things that were freed.
func (g Garbage) Len() int { return len(g.Freed) + g.Veths + g.Mappings }

// Run frees the leases, host veths and port mappings of a network whose pod is gone. The error is a
// *pods.AwayError if this network namespace does not have the node's ip. What cannot be freed does
// not keep the rest from being freed.
func Run(ctx context.Context, node *kernel.Node, network pods.PodNetwork) (Garbage, error) {
	var g Garbage
	if err := pods.AtHome(node, network); err != nil {
		return g, err
	}
	var err error
	g.Garbage, err = pods.Collect(node, ctx, network.Name)
	gone, err2 := pods.Gone(node, network.Name)
	if err2 == nil {
		g.Mappings, err2 = portmap.Collect(node.Paths.HostPorts, network.Name, func(id, ifname string) (bool, error) {
			return gone(ipam.Owner{ContainerID: id, IfName: ifname})
		})
	}
	return g, errors.Join(err, err2)
}
