// Package collect frees what pods that are gone have left behind on a node, for the daemon and the
// command line alike.
package collect

import (
	"context"
	"errors"

	"github.com/podnet/podnet/cmd/cni/internal/portmap"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
)

// Garbage is what there was.
type Garbage struct {
	pods.Garbage
	Mappings int // host ports
}

// Len is the number of things that were freed.
func (g Garbage) Len() int { return len(g.Freed) + g.Veths + g.Mappings }

// Run frees the leases, host veths and port mappings of a network whose pod is gone, where the
// node's ip is: a *pods.AwayError. What cannot be freed does not keep the rest from it.
func Run(ctx context.Context, node *kernel.Node, network pods.PodNetwork) (Garbage, error) {
	var g Garbage
	if err := pods.AtHome(node, network); err != nil {
		return g, err
	}
	var err error
	g.Garbage, err = pods.Collect(node, ctx, network.Name)
	gone, err2 := pods.Gone(node, network.Name)
	if err2 == nil {
		g.Mappings, err2 = portmap.Collect(network.Name, func(containerID, ifname string) (bool, error) {
			return gone(ipam.Owner{ContainerID: containerID, IfName: ifname})
		})
	}
	return g, errors.Join(err, err2)
}
