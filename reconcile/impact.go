package reconcile

import (
	"slices"

	"github.com/podnet/podnet/state"
)

// Impact is what traffic that works now loses by a step.
type Impact string

// The impacts, in order of gravity.
const (
	ImpactNone      Impact = "none"
	ImpactBrief     Impact = "brief"     // while the plan is carried out, or until a cache notices
	ImpactPartition Impact = "partition" // a peer, or the world outside, until the other side follows
	ImpactPodLoss   Impact = "podLoss"   // pods of this node lose their network
)

// Impact of a step. What is made or healed costs nobody anything, unless a device has to be made
// anew for it.
func (p *Plan) Impact(s *Step) Impact {
	switch {
	case s.Op == state.Create || s.Result == Skipped:
		return ImpactNone
	case s.Kind == state.KindLink:
		return p.linkImpact(s)
	case s.Cause == CauseDrift:
		return ImpactNone
	}
	switch s.Kind {
	case state.KindFDB, state.KindNeigh, state.KindRoute:
		return ImpactPartition
	case state.KindAddr:
		return p.deviceImpact(s.Have.(state.Addr).Device)
	case state.KindConflist:
		if s.Op == state.Update && s.Have.(state.Conflist).Network() != s.Want.(state.Conflist).Network() {
			return ImpactPodLoss // addresses of pods are given out again
		}
	case state.KindChain:
		if s.Op == state.Delete && !p.replaced(s.Have.(state.Chain)) {
			return ImpactPartition
		}
	}
	return ImpactNone
}

func (p *Plan) linkImpact(s *Step) Impact {
	have := s.Have.(state.Link)
	switch {
	case s.Op == state.Delete || s.Replace != "":
		return p.deviceImpact(have.Device)
	case s.Cause == CauseDrift:
		return ImpactNone
	}
	want := s.Want.(state.Link)
	switch {
	case have.Type == "vxlan" && (have.MAC != want.MAC || have.Local != want.Local):
		return ImpactPartition
	case have.MAC != want.MAC || want.MTU < have.MTU:
		return ImpactBrief
	}
	return ImpactNone
}

// deviceImpact is that of taking away a device or its address: pods hang on the bridge; a tunnel is
// gone for the moment, or for good if nobody wants another.
func (p *Plan) deviceImpact(device string) Impact {
	vxlan := false
	for _, s := range p.Steps {
		if have, ok := s.Have.(state.Link); ok && have.Device == device && have.Type == "vxlan" {
			vxlan = true
		}
	}
	wanted := false
	for _, l := range p.Want.Links.Rows() {
		if l.Type == "vxlan" {
			wanted = true
			vxlan = vxlan || l.Device == device
		}
	}
	switch {
	case vxlan && wanted:
		return ImpactBrief
	case vxlan:
		return ImpactPartition
	}
	return ImpactPodLoss
}

// replaced says that a chain goes because podnet's chains are made with another packet filter from
// now on, which has its own before this one goes.
func (p *Plan) replaced(c state.Chain) bool {
	return slices.ContainsFunc(p.Want.Chains.Rows(), func(o state.Chain) bool { return o.NFT() != c.NFT() })
}
