package state

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/device"
)

// What encapsulation costs a packet, bytes: outer Ethernet, IP, UDP and VXLAN headers.
const (
	overheadIPv4 = 50
	overheadIPv6 = 70

	MinIPv6MTU  = 1280
	ethernetMTU = 1500
)

// MTU is that of pods, bridge and vxlan device: the topology's, or the underlay link's less the
// encapsulation. A host without any underlay link counts as Ethernet. As long as the node's ip is
// on no link, and while the underlay is too small for the pods' IPv6, it stays what it is: a guess,
// or an MTU that takes their IPv6 addresses away, would hit running pods.
func MTU(t *schema.Topology, node *schema.Node, facts Facts) int {
	if t.Network.MTU != 0 {
		return t.Network.MTU
	}
	mtu := facts.UnderlayMTU
	if mtu == 0 {
		mtu = ethernetMTU
	}
	mtu -= Overhead(node.IP)
	if !facts.IPLocal && facts.KeptMTU > 0 || mtu < MinIPv6MTU && facts.KeptMTU >= MinIPv6MTU {
		return facts.KeptMTU
	}
	return mtu
}

// Overhead is what encapsulation costs a packet between nodes with such underlay addresses, bytes.
func Overhead(ip netip.Addr) int {
	if ip.Is4() {
		return overheadIPv4
	}
	return overheadIPv6
}

// Desired is everything that the node should hold according to the topology. It is pure: the same
// arguments, the same set. A node without podCIDR should hold nothing. Peers count as far as this
// node speaks their families. A family that this host cannot have is left out, and Lacks of the set
// says so; if there is no other, that is the error.
func Desired(t *schema.Topology, node *schema.Node, facts Facts, paths Paths) (*Set, error) {
	d := desired{t: t, node: node, cidrs: node.PodCIDRs, facts: facts, mtu: MTU(t, node, facts), set: &Set{}}
	if len(node.PodCIDRs) == 0 {
		return d.set, nil
	}
	d.set.Lacks = d.check()
	if d.set.Lacks != nil && !d.canIPv6() {
		d.cidrs = slices.DeleteFunc(slices.Clone(d.cidrs), func(p netip.Prefix) bool { return p.Addr().Is6() })
	}
	if len(d.cidrs) == 0 {
		return nil, d.set.Lacks
	}
	d.links()
	for _, p := range d.cidrs {
		d.family(p)
	}
	d.nftChains()
	d.forwarding()
	d.set.Neighs.grow(len(t.Nodes) * len(d.cidrs))
	d.set.Routes.grow(len(t.Nodes) * len(d.cidrs))
	d.set.FDB.grow(len(t.Nodes))
	d.set.TunnelSources.grow(len(t.Nodes))
	for i := range t.Nodes {
		if peer := &t.Nodes[i]; peer.Name != node.Name {
			d.peer(peer, Origin(i))
		}
	}
	d.set.Ranges = remedyRanges(t)
	list, err := conflist(t, node, d.cidrs, d.mtu, paths)
	d.set.Conflists.Add(list, OwnNode)
	d.set.Index()
	return d.set, err
}

type desired struct {
	t     *schema.Topology
	node  *schema.Node
	cidrs []netip.Prefix // of the node, in the families that this host can have
	facts Facts
	mtu   int
	set   *Set

	source netip.Addr // the bridge's IPv6 address, from which the node itself speaks to other nodes' pods
}

// canIPv6 says that the host can have IPv6 with the pods' MTU.
func (d *desired) canIPv6() bool { return d.facts.IPv6 && d.mtu >= MinIPv6MTU }

// check says what this host cannot have of what the topology asks for.
func (d *desired) check() error {
	if !d.speaks(false) {
		return nil
	}
	if !d.facts.IPv6 {
		return fmt.Errorf("%s has an IPv6 podCIDR and this kernel has IPv6 off (boot it without ipv6.disable=1)", d.node.Name)
	}
	fits := d.mtu
	if d.t.Network.MTU == 0 && d.facts.IPLocal && d.facts.UnderlayMTU > 0 {
		fits = d.facts.UnderlayMTU - Overhead(d.node.IP) // which need not be what the devices keep
	}
	if fits < MinIPv6MTU {
		return fmt.Errorf("the pods' MTU would be %d and IPv6 needs %d: raise the MTU of %s (%d)", fits, MinIPv6MTU,
			d.facts.Underlay, d.facts.UnderlayMTU)
	}
	return nil
}

// speaks says that the node has pods of a family.
func (d *desired) speaks(ipv4 bool) bool {
	for _, p := range d.cidrs {
		if p.Addr().Is4() == ipv4 {
			return true
		}
	}
	return false
}

func (d *desired) tunnel() string { return d.t.Network.VXLAN.Name }
func (d *desired) bridge() string { return d.t.Network.Bridge.Name }

func (d *desired) links() {
	d.set.Links.Add(Link{
		Device: d.bridge(), Type: "bridge", MAC: schema.DeriveBridgeMAC(d.t.Name,
			d.node.Name), MTU: d.mtu, Group: device.GroupDevice,
	}, OwnNode)
	d.set.Links.Add(Link{
		Device: d.tunnel(), Type: "vxlan", MAC: d.node.VTEPMAC, MTU: d.mtu, Group: device.GroupDevice,
		VNI: d.t.Network.VXLAN.VNI, Port: d.t.Network.VXLAN.Port, Local: d.node.Sender(),
	}, OwnNode)
	d.linkSettings(d.bridge(), device.BridgeSettings(d.bridge(), d.speaks(true), d.speaks(false)))
	d.linkSettings(d.tunnel(), d.tunnelSettings())
	d.set.LinksUp.Add(LinkUp{d.bridge()}, OwnNode)
	d.set.LinksUp.Add(LinkUp{d.tunnel()}, OwnNode)
}

func (d *desired) tunnelSettings() []device.Setting {
	conf := "net/ipv6/conf/" + d.tunnel() + "/"
	settings := []device.Setting{device.IgnoreRouters(d.tunnel())}
	if d.speaks(false) {
		settings = append(settings, device.Setting{Path: conf + "disable_ipv6", Value: "0"})
	}
	settings = append(settings, device.Setting{Path: conf + "addr_gen_mode", Value: "1"}) // none: no address and no traffic of its own
	if d.speaks(true) {
		settings = append(settings, device.Forward(d.tunnel()))
	}
	return settings
}

// linkSettings adds a device's settings but those of IPv6 where it has none at all: where the
// kernel has not, or its MTU is less.
func (d *desired) linkSettings(name string, settings []device.Setting) {
	for _, s := range settings {
		if strings.HasPrefix(s.Path, "net/ipv6/") && (!d.facts.IPv6 || d.mtu < MinIPv6MTU) {
			continue
		}
		d.set.LinkSysctls.Add(Sysctl{Path: s.Path, Value: s.Value, Device: name}, OwnNode)
	}
}

// family adds what one podCIDR of the node itself asks for.
func (d *desired) family(p netip.Prefix) {
	d.set.Addrs.Add(Addr{Device: d.bridge(), Prefix: netip.PrefixFrom(p.Addr().Next(), p.Bits())}, OwnNode)
	number := versionOf(p.Addr())
	if number == 6 {
		d.source = p.Addr().Next()
	} else {
		d.set.Addrs.Add(Addr{Device: d.tunnel(), Prefix: netip.PrefixFrom(p.Addr(), 32)}, OwnNode)
	}
	if d.usesNFT() {
		return
	}
	if d.t.Network.Masquerade.Enabled {
		d.set.Chains.Add(Chain{Family: number, Table: "nat", Chain: "PODNET-MASQUERADE",
			Rules: lines(d.masquerade(p), Rule.IPTables), Hook: "POSTROUTING", Jumps: 1}, OwnNode)
	}
	forward := []Rule{{Source: p, In: d.bridge()}, {Destination: p, Out: d.bridge()}}
	d.set.Chains.Add(Chain{Family: number, Table: "filter", Chain: ForwardChain, Rules: lines(forward, Rule.IPTables),
		Hook: "FORWARD", Jumps: 1}, OwnNode)
}

// usesNFT says that podnet's chains are those of nftables.
func (d *desired) usesNFT() bool {
	switch d.t.Network.Firewall {
	case schema.FirewallNFTables:
		return true
	case schema.FirewallAuto:
		return d.facts.NoIPTables
	}
	return false
}

// nftChains adds podnet's chains of nftables. There is none that accepts what pods send each other:
// an accept there would not keep another table from dropping it.
func (d *desired) nftChains() {
	d.fences()
	if d.t.Network.VXLAN.OnlyPeers {
		d.tunnelChains()
	}
	if !d.usesNFT() || !d.t.Network.Masquerade.Enabled {
		return
	}
	var rules []string
	for _, p := range d.cidrs {
		family := versionOf(p.Addr())
		rules = append(rules, lines(d.masquerade(p), func(r Rule) string { return r.NFT(family) }))
	}
	d.set.Chains.Add(Chain{Table: OwnTable, Chain: MasqueradeChain, Rules: strings.Join(rules, "\n"),
		Hook: "nat hook postrouting priority 100"}, OwnNode)
}

// fences keeps pods from what no pod has business with. They are rules and no settings of the kernel:
// of two settings for the reverse path the more lenient one counts, and IPv6 has none.
func (d *desired) fences() {
	pods := fmt.Sprintf("iifname %q", d.bridge())
	d.set.Chains.Add(Chain{Table: OwnTable, Chain: FencePodsChain, Hook: "filter hook prerouting priority -300",
		Rules: pods + " ip daddr 127.0.0.0/8 drop\n" + pods + " fib saddr . iif oif missing drop"}, OwnNode)
	d.set.Chains.Add(Chain{Table: OwnBridgeTable, Chain: FencePortsChain, Hook: "filter hook forward priority 0",
		Rules: fmt.Sprintf("iifgroup %[1]d icmpv6 type nd-router-advert drop\noifgroup %[1]d icmpv6 type nd-router-advert drop",
			device.GroupPod)}, OwnNode)
	if d.t.Network.Bridge.AntiSpoofing {
		d.set.Chains.Add(Chain{Table: OwnBridgeTable, Chain: SendersChain, Hook: "filter hook prerouting priority -200",
			Rules: senders()}, OwnNode)
	}
}

// tunnelChains keeps all but peers out of the tunnel, which believes any sender. Pods are kept from
// the tunnel's port of every node: masqueraded, their packets would have a peer's address.
func (d *desired) tunnelChains() {
	ip := map[uint8]string{4: "ip", 6: "ip6"}[versionOf(d.node.IP)]
	port := fmt.Sprintf("udp dport %d", d.t.Network.VXLAN.Port)
	tunnel := fmt.Sprintf("%s @th,96,24 %#x", port, d.t.Network.VXLAN.VNI)
	pods := fmt.Sprintf("iifname %q %s", d.bridge(), port)
	rules := []string{pods + " drop"}
	for _, own := range []netip.Addr{d.node.IP, d.node.LocalIP} {
		if own.IsValid() {
			rules = append(rules, fmt.Sprintf("%s %s saddr @%s %s daddr %s accept", tunnel, ip, TunnelSet, ip, own))
		}
	}
	d.set.Chains.Add(Chain{Table: OwnTable, Chain: TunnelChain, Rules: strings.Join(append(rules, tunnel+" drop"), "\n"),
		Hook: "filter hook input priority 0"}, OwnNode)
	d.set.Chains.Add(Chain{Table: OwnTable, Chain: TunnelPodsChain,
		Rules: fmt.Sprintf("%s %s daddr @%s drop", pods, ip, TunnelSet), Hook: "filter hook forward priority 0"}, OwnNode)
}

func versionOf(a netip.Addr) uint8 {
	if a.Is4() {
		return 4
	}
	return 6
}

func lines(rules []Rule, words func(Rule) string) string {
	var text []string
	for _, r := range rules {
		text = append(text, words(r))
	}
	return strings.Join(text, "\n")
}

// masquerade: everything that pods send out of the cluster's ranges leaves with the node's address.
func (d *desired) masquerade(p netip.Prefix) []Rule {
	multicast := netip.MustParsePrefix("ff00::/8")
	if p.Addr().Is4() {
		multicast = netip.MustParsePrefix("224.0.0.0/4")
	}
	rules := []Rule{{NotSource: p, Verdict: Return}}
	listed := map[netip.Prefix]bool{} // a range that is named twice is one rule
	for _, dst := range slices.Concat(d.t.Network.ClusterCIDRs, d.t.Network.Masquerade.NonMasqueradeCIDRs,
		[]netip.Prefix{multicast}) {
		again := listed[dst]
		listed[dst] = true
		if !again && dst.Addr().Is4() == p.Addr().Is4() {
			rules = append(rules, Rule{Destination: dst, Verdict: Return})
		}
	}
	return append(rules, Rule{Verdict: Masquerade})
}

const (
	ForwardIPv4 = device.IPv4Forwarding
	forwardIPv6 = device.IPv6Forwarding
)

// forwarding switches the host to forwarding. A host that forwards IPv6 drops the default routes
// that it learned from router advertisements, unless the links concerned are told beforehand to go
// on listening.
func (d *desired) forwarding() {
	if d.speaks(true) {
		d.set.Sysctls.Add(Sysctl{Path: ForwardIPv4, Value: "1"}, OwnNode)
	}
	if !d.speaks(false) {
		return
	}
	after := ""
	for _, s := range device.ForwardIPv6(d.facts.RAListeners) {
		d.set.Sysctls.Add(Sysctl{Path: s.Path, Value: s.Value, After: after, Link: s.Path != forwardIPv6}, OwnNode)
		after = s.Path
	}
}

// peer adds the way to another node's pods.
func (d *desired) peer(peer *schema.Node, from Origin) {
	reachable := false
	for _, p := range peer.PodCIDRs {
		if !d.speaks(p.Addr().Is4()) {
			continue
		}
		reachable = true
		hop, source := p.Addr(), netip.Addr{}
		if p.Addr().Is6() {
			hop, source = device.LinkLocal(peer.VTEPMAC), d.source
		}
		d.set.Neighs.Add(Neigh{d.tunnel(), hop, peer.VTEPMAC, true}, from)
		d.set.Routes.Add(Route{Dst: p, Via: hop, Device: d.tunnel(), Metric: PeerMetric(p), Source: source,
			Onlink: p.Addr().Is4()}, from)
	}
	if reachable && d.t.Network.VXLAN.OnlyPeers {
		d.set.TunnelSources.Add(TunnelSource{peer.IP}, from)
		if peer.LocalIP.IsValid() {
			d.set.TunnelSources.Add(TunnelSource{peer.LocalIP}, from)
		}
	}
	if reachable {
		d.set.FDB.Add(FDB{Device: d.tunnel(), MAC: peer.VTEPMAC, Dst: peer.IP, Permanent: true}, from)
	}
}

// remedyRanges are the cluster's ranges, unless they hold a node's ip: a command about such a range
// would catch packets that are no pods'. Then they are the podCIDRs, as long as these are few.
func remedyRanges(t *schema.Topology) []netip.Prefix {
	const few = 16
	holdsNode := slices.ContainsFunc(t.Nodes, func(n schema.Node) bool {
		return slices.ContainsFunc(t.Network.ClusterCIDRs, func(p netip.Prefix) bool { return p.Contains(n.IP) })
	})
	if !holdsNode {
		return t.Network.ClusterCIDRs
	}
	var pods []netip.Prefix
	for i := range t.Nodes {
		pods = append(pods, t.Nodes[i].PodCIDRs...)
	}
	if exact := schema.Aggregate(pods); len(exact) <= few {
		return exact
	}
	return t.Network.ClusterCIDRs
}
