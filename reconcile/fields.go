package reconcile

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// FieldChange is a field outside nodes that the new file changes, and the node's own steps that
// come of it.
type FieldChange struct {
	Field         string // such as network.mtu
	Before, After string
	Line          int // in the new file; the node's own entry's if the field is not in there
	Steps         []*Step
}

// field is one that changes a node's own objects.
type field struct {
	path  string
	value func(*schema.Topology) string
	moves func(p *Plan, s *Step) bool
}

// fields are in the order in which a step is attributed: what makes a device anew before what
// changes it in place.
func fields() []field {
	return []field{
		{"metadata.name", func(t *schema.Topology) string { return t.Name }, movesMAC},
		{"network.vxlan.vni", func(t *schema.Topology) string { return fmt.Sprint(t.Network.VXLAN.VNI) }, onTunnel},
		{"network.vxlan.name", func(t *schema.Topology) string { return t.Network.VXLAN.Name }, onTunnel},
		{"network.vxlan.port", func(t *schema.Topology) string { return fmt.Sprint(t.Network.VXLAN.Port) }, onTunnel},
		{"network.vxlan.onlyPeers", func(t *schema.Topology) string { return fmt.Sprint(t.Network.VXLAN.OnlyPeers) }, guardsTunnel},
		{"network.bridge.name", func(t *schema.Topology) string { return t.Network.Bridge.Name }, onBridge},
		{"network.mtu", mtuText, movesMTU},
		{"network.bridge.hairpinMode", func(t *schema.Topology) string { return fmt.Sprint(t.Network.Bridge.HairpinMode) },
			isConflist},
		{"network.bridge.antiSpoofing", func(t *schema.Topology) string { return fmt.Sprint(t.Network.Bridge.AntiSpoofing) },
			judgesSenders},
		{"network.firewall", func(t *schema.Topology) string { return string(t.Network.Firewall) },
			changesFirewall},
		{"network.masquerade.enabled", func(t *schema.Topology) string { return fmt.Sprint(t.Network.Masquerade.Enabled) },
			isMasquerade},
		{"network.masquerade.nonMasqueradeCIDRs",
			func(t *schema.Topology) string { return joined(t.Network.Masquerade.NonMasqueradeCIDRs) }, isMasquerade},
		{"network.clusterCIDRs", func(t *schema.Topology) string { return joined(t.Network.ClusterCIDRs) }, isMasquerade},
		{"network.cni.name", func(t *schema.Topology) string { return t.Network.CNI.Name }, isConflist},
		{"network.cni.versions", func(t *schema.Topology) string { return strings.Join(t.Network.CNI.Versions, ",") },
			isConflist},
		{"network.cni.disableGC", func(t *schema.Topology) string { return fmt.Sprint(t.Network.CNI.DisableGC) }, isConflist},
	}
}

// FieldChanges attributes the node's own steps to the fields of the file that changed; rest are
// those that come of something else, such as the node's own entry. A changed field without a step
// here is left out.
func (p *Plan) FieldChanges() (changes []*FieldChange, rest []*Step) {
	var changed []*FieldChange
	var moves []func(*Plan, *Step) bool
	if p.InForce != nil && p.InForce != p.Topology {
		for _, f := range fields() {
			if c := p.fieldChange(f); c != nil {
				changed, moves = append(changed, c), append(moves, f.moves)
			}
		}
	}
	for _, s := range p.ownChanges() {
		if i := first(moves, p, s); i >= 0 {
			changed[i].Steps = append(changed[i].Steps, s)
		} else {
			rest = append(rest, s)
		}
	}
	for _, c := range changed {
		if len(c.Steps) > 0 {
			changes = append(changes, c)
		}
	}
	return changes, rest
}

// ownChanges are the steps that belong to the node itself and that the file asks for.
func (p *Plan) ownChanges() []*Step {
	var own []*Step
	for _, s := range p.Steps {
		if peer, _ := p.Peer(s); peer == nil && s.Cause == CauseChange {
			own = append(own, s)
		}
	}
	return own
}

func first(moves []func(*Plan, *Step) bool, p *Plan, s *Step) int {
	for i, m := range moves {
		if m(p, s) {
			return i
		}
	}
	return -1
}

// fieldChange is nil where nothing changed, and where the file sets neither value: then another
// field is the reason. The cluster's ranges have none but the podCIDRs.
func (p *Plan) fieldChange(f field) *FieldChange {
	before, after := f.value(p.InForce), f.value(p.Topology)
	line := p.Topology.Line(f.path)
	if before == after || line == 0 && p.InForce.Line(f.path) == 0 && f.path != "network.clusterCIDRs" {
		return nil
	}
	if line == 0 { // it is gone from the file, or follows from the nodes
		line = p.Node.Line
	}
	c := &FieldChange{Field: f.path, Before: abbreviated(before), After: abbreviated(after), Line: line}
	if c.Before == c.After {
		c.After = "as many others"
	}
	return c
}

// abbreviated keeps a list that would fill the line to its length.
func abbreviated(value string) string {
	const most = 2
	if n := strings.Count(value, ",") + 1; n > most {
		return fmt.Sprintf("%d entries", n)
	}
	return value
}

func mtuText(t *schema.Topology) string {
	if t.Network.MTU == 0 {
		return "of the underlay"
	}
	return fmt.Sprint(t.Network.MTU)
}

func joined(prefixes []netip.Prefix) string {
	if len(prefixes) == 0 {
		return "none"
	}
	var all []string
	for _, p := range prefixes {
		all = append(all, p.String())
	}
	return strings.Join(all, ",")
}

func isConflist(_ *Plan, s *Step) bool { return s.Kind == state.KindConflist }

func isMasquerade(_ *Plan, s *Step) bool {
	c, ok := s.Object().(state.Chain)
	return ok && (c.Table == "nat" || c.NFT())
}

// changesFirewall: chains of one packet filter go, and the same of the other come.
func changesFirewall(_ *Plan, s *Step) bool {
	_, ok := s.Object().(state.Chain)
	return ok && s.Op != state.Update
}

func movesMAC(_ *Plan, s *Step) bool {
	have, want, ok := links(s)
	return ok && have.MAC != want.MAC || s.Kind == state.KindConflist
}

func movesMTU(_ *Plan, s *Step) bool {
	have, want, ok := links(s)
	return ok && have.MTU != want.MTU || s.Kind == state.KindConflist
}

// links are both sides of a link's update.
func links(s *Step) (have, want state.Link, ok bool) {
	if s.Op != state.Update || s.Kind != state.KindLink {
		return have, want, false
	}
	return s.Have.(state.Link), s.Want.(state.Link), true
}

func onTunnel(p *Plan, s *Step) bool {
	return guardsTunnel(p, s) || concerns(s, p.Topology.Network.VXLAN.Name, p.InForce.Network.VXLAN.Name)
}

// guardsTunnel says whether an object keeps packets of others out of the tunnel.
func guardsTunnel(_ *Plan, s *Step) bool {
	name := s.Object().Name()
	return s.Kind == state.KindChain && (name == state.TunnelChain || name == state.TunnelPodsChain)
}

// judgesSenders says whether an object keeps pods from sending from what is not theirs.
func judgesSenders(_ *Plan, s *Step) bool {
	return s.Kind == state.KindBridgePort || s.Kind == state.KindConflist || s.Object().Name() == state.SendersChain
}

func onBridge(p *Plan, s *Step) bool {
	return s.Kind == state.KindChain || s.Kind == state.KindConflist ||
		concerns(s, p.Topology.Network.Bridge.Name, p.InForce.Network.Bridge.Name)
}

// concerns says whether an object is one of the devices or stands on one.
func concerns(s *Step, devices ...string) bool {
	device := ""
	switch o := s.Object().(type) {
	case state.Link:
		device = o.Device
	case state.LinkUp:
		device = o.Device
	case state.Addr:
		device = o.Device
	case state.Sysctl:
		device = o.Device
	}
	for _, d := range devices {
		if d == device {
			return true
		}
	}
	return false
}
