package bridge

import (
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state"
)

func vethName(req *protocol.Request) string {
	return state.VethName(req.Network, req.ContainerID, req.IfName)
}

func podAlias(req *protocol.Request) string {
	return state.PodAlias(req.Network, req.ContainerID, req.IfName)
}
