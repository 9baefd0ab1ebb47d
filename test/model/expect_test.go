package model

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
)

// plan is a topology as the model knows it.
type plan struct {
	lab.Topology
	vni, port, mtu int  // mtu 0: the underlay's less 50
	masquerade     bool // and in the ranges 10.0.0.0/8 and fd00::/16
	bad            bool // the file is not to be followed
}

func (p plan) tunnel() string { return fmt.Sprintf("podnet.%d", p.vni) }

// String is the file.
func (p plan) String() string {
	p.Extra = []string{
		fmt.Sprintf(`network: {clusterCIDRs: ["10.0.0.0/8", "fd00::/16"], mtu: %d, vxlan: {vni: %d, port: %d}, masquerade: {enabled: %v}}`, p.mtu, p.vni, p.port, p.masquerade),
		"safety: {maxDisruptedPeersPercent: 100}",
	}
	text := p.Topology.String()
	if p.bad {
		text = text[:len(text)-1] // no newline at the end
	}
	return text
}

// same says that the files are the same.
func (p plan) same(q plan) bool { return p.String() == q.String() }

// expect is what state/REFERENCE.md has the kernel hold, a line for each object, and the foreign
// objects.
func (p plan) expect(paths state.Paths) []string {
	own := p.Nodes[0]
	mtu := p.mtu
	if mtu == 0 {
		mtu = 1450
	}
	tunnel := p.tunnel()
	lines := []string{
		"link other0", "addr 100.99.0.1/24 other0", "neigh 100.99.0.7 lladdr 02:00:00:00:99:07 dev other0",
		"route 100.99.1.0/24 via 192.0.2.9 dev eth0 metric 0",
		"iptables-save filter :OTHERS -", "iptables-save filter -A FORWARD -s 100.99.0.0/24 -j OTHERS",
		fmt.Sprintf("link cni0 up bridge mtu %d %s", mtu, contract.BridgeMAC(p.Name, self)),
		fmt.Sprintf("link %s up vxlan mtu %d %s id %d port %d local %s learning false", tunnel, mtu, contract.VTEPMAC(p.Name, self), p.vni, p.port, own.IP),
		fmt.Sprintf("file %s bridge cni0 mtu %d then portmap", filepath.Base(paths.Conflist), mtu),
	}
	var peers []contract.Peer
	for _, e := range p.Nodes[1:] {
		peer := contract.Peer{Name: e.Name, IP: e.IP}
		for _, cidr := range e.PodCIDRs {
			if slices.ContainsFunc(own.PodCIDRs, func(o string) bool { return six(o) == six(cidr) }) {
				peer.PodCIDRs = append(peer.PodCIDRs, cidr)
			}
		}
		if len(peer.PodCIDRs) > 0 {
			peers = append(peers, peer)
		}
	}
	lines = append(lines, contract.Lines(p.Name, tunnel, peers)...)
	for _, cidr := range own.PodCIDRs {
		lines = append(lines, p.family(cidr)...)
	}
	return lines
}

func six(cidr string) bool { return strings.Contains(cidr, ":") }

// family is what one of the node's own podCIDRs asks for.
func (p plan) family(cidr string) []string {
	save, ranges, multicast, sysctl := "iptables-save", "10.0.0.0/8", "224.0.0.0/4", "net/ipv4/ip_forward"
	network, bits, _ := strings.Cut(cidr, "/")
	gateway := strings.TrimSuffix(network, "0") + "1"
	var lines []string
	if six(cidr) {
		save, ranges, multicast, sysctl = "ip6tables-save", "fd00::/16", "ff00::/8", "net/ipv6/conf/all/forwarding"
		gateway = network + "1"
	} else {
		lines = append(lines, fmt.Sprintf("addr %s/32 %s", network, p.tunnel()))
	}
	lines = append(lines, sysctl, fmt.Sprintf("addr %s/%s cni0", gateway, bits),
		save+" filter :PODNET-FORWARD -", save+" filter -A FORWARD -j PODNET-FORWARD",
		fmt.Sprintf("%s filter -A PODNET-FORWARD -s %s -i cni0 -j ACCEPT", save, cidr),
		fmt.Sprintf("%s filter -A PODNET-FORWARD -d %s -o cni0 -j ACCEPT", save, cidr))
	if !p.masquerade {
		return lines
	}
	return append(lines, save+" nat :PODNET-MASQUERADE -", save+" nat -A POSTROUTING -j PODNET-MASQUERADE",
		fmt.Sprintf("%s nat -A PODNET-MASQUERADE ! -s %s -j RETURN", save, cidr),
		fmt.Sprintf("%s nat -A PODNET-MASQUERADE -d %s -j RETURN", save, ranges),
		fmt.Sprintf("%s nat -A PODNET-MASQUERADE -d %s -j RETURN", save, multicast),
		save+" nat -A PODNET-MASQUERADE -j MASQUERADE --random-fully")
}

// object is what a tool prints of one.
type object map[string]any

// lines is an object in the words of expect; none: it is nobody's business.
func (o object) lines(tunnel string) []string {
	if addrs, ok := o["addr_info"].([]any); ok {
		var lines []string
		for _, a := range addrs {
			if a := a.(map[string]any); a["local"] != nil && !strings.HasPrefix(a["local"].(string), "fe80:") {
				lines = append(lines, fmt.Sprintf("addr %v/%v %v", a["local"], a["prefixlen"], o["ifname"]))
			}
		}
		return lines
	}
	switch {
	case o["mac"] != nil && o["dst"] != nil:
		return []string{fmt.Sprintf("fdb %v dst %v dev %s", o["mac"], o["dst"], tunnel)}
	case o["mac"] != nil || len(o) == 0:
		return nil
	case o["lladdr"] != nil:
		return []string{fmt.Sprintf("neigh %v lladdr %v dev %v", o["dst"], o["lladdr"], o["dev"])}
	case o["dst"] != nil:
		return []string{o.route()}
	case o["ifname"] == "other0":
		return []string{"link other0"}
	}
	return []string{o.link()}
}

func (o object) route() string {
	onlink, metric := "", o["metric"]
	if flags, _ := o["flags"].([]any); slices.Contains(flags, any("onlink")) {
		onlink = " onlink"
	}
	if metric == nil {
		metric = 0.0
	}
	return fmt.Sprintf("route %v via %v dev %v%s metric %.0f", o["dst"], o["gateway"], o["dev"], onlink, metric)
}

func (o object) link() string {
	up := ""
	if flags, _ := o["flags"].([]any); slices.Contains(flags, any("UP")) {
		up = " up"
	}
	info, _ := o["linkinfo"].(map[string]any)
	data, _ := info["info_data"].(map[string]any)
	line := fmt.Sprintf("link %v%s %v mtu %v %v", o["ifname"], up, info["info_kind"], o["mtu"], o["address"])
	if info["info_kind"] == "vxlan" {
		line += fmt.Sprintf(" id %v port %v local %v learning %v", data["id"], data["port"], data["local"], data["learning"])
	}
	return line
}
