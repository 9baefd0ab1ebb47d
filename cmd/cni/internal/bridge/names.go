package bridge

import (
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
)

func vethName(req *protocol.Request) string {
	return device.VethName(req.Network, req.ContainerID, req.IfName)
}

func podAlias(req *protocol.Request) string {
	return device.PodAlias(req.Network, req.ContainerID, req.IfName)
}
