package schema

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// DefaultNetwork is the network of a file that says nothing of it.
func DefaultNetwork() Network {
	n := Network{
		NodeCIDRMaskSizeIPv4: 24,
		NodeCIDRMaskSizeIPv6: 64,
		Encapsulation:        "vxlan",
		Firewall:             FirewallAuto,
		VXLAN:                VXLAN{VNI: 1, Port: 8472, OnlyPeers: true},
		Bridge:               Bridge{Name: "cni0", HairpinMode: true},
		Masquerade:           Masquerade{Enabled: true},
		CNI:                  CNI{Name: "podnet", Versions: []string{"1.0.0", "1.1.0"}},
	}
	n.VXLAN.Name = n.VXLAN.defaultName()
	return n
}

func (x VXLAN) defaultName() string { return "podnet." + strconv.Itoa(int(x.VNI)) }

// network reads the section and returns its clusterCIDRs with their places.
func (r *reader) network(o *object, net *Network) clusterRanges {
	*net = DefaultNetwork()
	ranges := r.clusterCIDRs(o)
	r.maskSizes(o, net)
	if v, ok := o.get("mtu"); ok {
		net.MTU = r.mtu(v)
	}
	if v, ok := o.get("encapsulation"); ok {
		r.encapsulation(v)
	}
	if v, ok := o.get("firewall"); ok {
		net.Firewall = r.firewall(v)
	}
	vxlan := r.vxlan(o, &net.VXLAN)
	bridge := r.bridge(o, &net.Bridge)
	r.checkInterfaces(&vxlan, &bridge, net)
	r.masquerade(o, &net.Masquerade)
	r.cni(o, &net.CNI)
	return ranges
}

func (r *reader) maskSizes(o *object, net *Network) {
	sizes := r.section(o, "nodeCIDRMaskSize", fieldsOf[fileMaskSize]())
	if v, ok := sizes.get("ipv4"); ok {
		net.NodeCIDRMaskSizeIPv4, _ = r.integer(v, 1, smallestIPv4, "a prefix length from 1 to 30")
	}
	if v, ok := sizes.get("ipv6"); ok {
		net.NodeCIDRMaskSizeIPv6, _ = r.integer(v, 1, smallestIPv6, "a prefix length from 1 to 126")
	}
}

// mtu is at least what IPv6 asks of every link.
func (r *reader) mtu(v value) int {
	const remedy = "0 to follow the underlay, or 1280 to 65535"
	n, ok := r.integer(v, 0, 65535, remedy)
	if ok && n > 0 && n < 1280 {
		r.wrong(v, strconv.Itoa(n)+" is out of range", remedy)
	}
	return n
}

func (r *reader) encapsulation(v value) {
	const remedy = "write vxlan"
	switch got, ok := r.text(v, remedy); {
	case !ok || got == "vxlan":
	case got == "none" || got == "crossSubnet":
		r.wrong(v, got+" does not exist yet in this podnet", remedy)
	default:
		r.wrong(v, show(got)+" is not an encapsulation", remedy)
	}
}

// firewall is empty after a fault.
func (r *reader) firewall(v value) Firewall {
	const remedy = "auto, iptables or nftables"
	got, ok := r.text(v, remedy)
	if f := Firewall(got); f == FirewallAuto || f == FirewallIPTables || f == FirewallNFTables {
		return f
	}
	if ok {
		r.wrong(v, show(got)+" is no packet filter that podnet can use", remedy)
	}
	return ""
}

func (r *reader) vxlan(o *object, x *VXLAN) object {
	section := r.section(o, "vxlan", fieldsOf[fileVXLAN]())
	if v, ok := section.get("vni"); ok {
		if n, ok := r.integer(v, 1, 1<<24-1, "1 to 16777215"); ok {
			x.VNI = uint32(n)
		}
	}
	if v, ok := section.get("port"); ok {
		n, _ := r.integer(v, 1, 65535, "a UDP port, 1 to 65535")
		x.Port = uint16(n)
	}
	if v, ok := section.get("onlyPeers"); ok {
		x.OnlyPeers = r.boolean(v, true)
	}
	x.Name = x.defaultName()
	if v, ok := section.get("name"); ok {
		x.Name = r.interfaceName(v)
	}
	return section
}

func (r *reader) bridge(o *object, b *Bridge) object {
	section := r.section(o, "bridge", fieldsOf[fileBridge]())
	if v, ok := section.get("name"); ok {
		b.Name = r.interfaceName(v)
	}
	if v, ok := section.get("hairpinMode"); ok {
		b.HairpinMode = r.boolean(v, true)
	}
	if v, ok := section.get("antiSpoofing"); ok {
		b.AntiSpoofing = r.boolean(v, false)
	}
	return section
}

// checkInterfaces finds one name for both devices; at least one of them is then in the file.
func (r *reader) checkInterfaces(vxlan, bridge *object, net *Network) {
	if net.Bridge.Name == "" || net.Bridge.Name != net.VXLAN.Name {
		return
	}
	if v, ok := bridge.get("name"); ok {
		r.wrong(v, net.Bridge.Name+" is the name of the vxlan device too", "two different names")
	} else if v, ok := vxlan.get("name"); ok {
		r.wrong(v, net.VXLAN.Name+" is the name of the bridge too", "two different names")
	}
}

func (r *reader) masquerade(o *object, m *Masquerade) {
	section := r.section(o, "masquerade", fieldsOf[fileMasquerade]())
	if v, ok := section.get("enabled"); ok {
		m.Enabled = r.boolean(v, true)
	}
	v, ok := section.get("nonMasqueradeCIDRs")
	if !ok {
		return
	}
	elements, _ := r.list(v)
	for i, n := range elements {
		p, ok := r.prefix(value{n, v.p.element(i)})
		if ok && !slices.Contains(m.NonMasqueradeCIDRs, p) {
			m.NonMasqueradeCIDRs = append(m.NonMasqueradeCIDRs, p)
		}
	}
}

func (r *reader) cni(o *object, c *CNI) {
	section := r.section(o, "cni", fieldsOf[fileCNI]())
	if v, ok := section.get("name"); ok {
		c.Name = r.networkName(v)
	}
	if v, ok := section.get("versions"); ok {
		c.Versions = r.cniVersions(v)
	}
	if v, ok := section.get("disableGC"); ok {
		c.DisableGC = r.boolean(v, false)
	}
}

// cniVersions gives the versions in ascending order, each once.
func (r *reader) cniVersions(v value) []string {
	known := []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}
	remedy := "some of " + strings.Join(known, ", ")
	elements, ok := r.list(v)
	if ok && len(elements) == 0 {
		r.wrong(v, "holds no version", remedy)
	}
	asked := map[string]bool{}
	for i, n := range elements {
		element := value{n, v.p.element(i)}
		version, ok := r.text(element, remedy)
		if ok && !slices.Contains(known, version) {
			r.wrong(element, show(version)+" is not a CNI version that podnet speaks", remedy)
		}
		asked[version] = true
	}
	return slices.DeleteFunc(known, func(version string) bool { return !asked[version] })
}

// clusterRanges is what the file says of clusterCIDRs.
type clusterRanges struct {
	prefixes []netip.Prefix
	places   []value // of the prefixes
	broken   bool    // one of them could not be read: what lies outside is unknown
}

func (r *reader) clusterCIDRs(o *object) clusterRanges {
	v, ok := o.get("clusterCIDRs")
	if !ok {
		return clusterRanges{}
	}
	elements, ok := r.list(v)
	ranges := clusterRanges{broken: !ok}
	for i, n := range elements {
		at := value{n, v.p.element(i)}
		p, ok := r.hostPrefix(at)
		if !ok {
			ranges.broken = true
			continue
		}
		ranges.prefixes, ranges.places = append(ranges.prefixes, p), append(ranges.places, at)
	}
	return ranges
}
