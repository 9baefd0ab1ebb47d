package doctor

import (
	"fmt"
	"strings"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/pods"
	"github.com/podnet/podnet/state/shell"
)

// iptables: the kernel asks the rules of both kinds, and who looks with one does not see the
// other's.
func iptables(f Subject) []document.Finding {
	var out []document.Finding
	for _, o := range f.Other {
		severity, message := document.SeverityWarning, fmt.Sprintf("%d rules beside those of %s, which does not show them",
			o.Rules, o.Uses)
		if o.Drops {
			severity, message = document.SeverityError, message+"; they drop what podnet accepts"
		}
		out = append(out, document.Finding{
			ID: "iptables-mixed", Severity: severity, Object: o.Program, Owner: "whoever uses " + o.Program,
			Message: message,
			Remedy:  o.Remedy,
		})
	}
	return out
}

// openTunnel: whoever can send UDP to the port sends to pods as any node.
func openTunnel(f Subject) []document.Finding {
	if f.Open == "" {
		return nil
	}
	return []document.Finding{{
		ID: "input-open", Severity: document.SeverityWarning, Object: "INPUT", Owner: "the host's firewall",
		Message: "takes vxlan packets of any sender: whoever reaches the port is among the pods",
		Remedy:  f.Open,
	}}
}

// proxies reports the service proxies that do not see what pods of this node send to each other.
func proxies(f Subject) []document.Finding {
	var out []document.Finding
	for _, p := range f.Proxies {
		out = append(out, document.Finding{
			ID: "service-proxy", Severity: document.SeverityWarning, Object: p.Rules, Owner: "kube-proxy",
			Message: "does not see what pods of this node send to each other: a pod that reaches another of this node by the address of a service gets no answer",
			Remedy:  p.Remedy,
		})
	}
	return out
}

// mtu reports an underlay that pods' packets do not fit into with the tunnel's headers.
func mtu(f Subject) []document.Finding {
	if f.Plan == nil || f.Plan.Facts.UnderlayMTU == 0 {
		return nil
	}
	facts, node := f.Plan.Facts, f.Plan.Node
	pods := state.MTU(f.Plan.Topology, node, facts)
	needs := pods + state.Overhead(node.IP)
	if needs <= facts.UnderlayMTU {
		return nil
	}
	return []document.Finding{{
		ID: "underlay-mtu", Severity: document.SeverityError, Object: facts.Underlay, Owner: "the host's network configuration",
		Message: fmt.Sprintf("its MTU is %d, and pods' packets of %d need %d with their headers (or lower network.mtu to %d)",
			facts.UnderlayMTU, pods, needs, facts.UnderlayMTU-state.Overhead(node.IP)),
		Remedy: fmt.Sprintf("ip link set dev %s mtu %d", facts.Underlay, needs),
	}}
}

// neighbours: entries of all namespaces count against one threshold of the machine: each pod has
// one of its gateway, and some of the pods that it talks to. The host's own do not count: those of
// peers are permanent, those of pods are marked as learned from outside (extern_learn).
func neighbours(f Subject) []document.Finding {
	const (
		perPod   = 2
		most     = 1023 // ports of a bridge
		headroom = 4    // of what is set: the least that holds, doubled twice
	)
	if f.Plan == nil {
		return nil
	}
	var out []document.Finding
	for _, p := range f.Plan.Node.PodCIDRs {
		family := "ipv6"
		if p.Addr().Is4() {
			family = "ipv4"
		}
		pods := int(min(pods.PoolSize(p), most))
		have, known := f.Host.Neighbours[family]
		if !known || have >= perPod*pods {
			continue
		}
		base, want := "net."+family+".neigh.default.gc_thresh", headroom*perPod*pods
		out = append(out, document.Finding{
			ID: "neighbour-table", Severity: document.SeverityWarning, Object: base + "3", Owner: "the host's sysctls",
			Message: fmt.Sprintf("is %d, and %d pods may need %d entries or more: then new connections fail (neighbour table overflow)", have, pods, perPod*pods),
			Remedy:  fmt.Sprintf("sysctl -w %s3=%d %s2=%d %s1=%d", base, want, base, want/2, base, want/8),
		})
	}
	return out
}

// tracking: a full table is a conflict, which status tells too.
func tracking(f Subject) []document.Finding {
	if t := f.Tracking; t.Near() && !t.Full() {
		return []document.Finding{{
			ID: "conntrack-table", Severity: document.SeverityWarning, Object: "net.netfilter.nf_conntrack_max", Owner: "the host's sysctls",
			Message: fmt.Sprintf("%d of at most %d connections are tracked: when it is full new ones fail", t.Count, t.Max),
			Remedy:  t.Remedy(),
		}}
	}
	return nil
}

// claim: two hosts with one address take the packets for it in turns. What ends it is done on the
// other one.
func claim(f Subject) []document.Finding {
	var out []document.Finding
	for _, mac := range f.Claim.Others {
		out = append(out, document.Finding{
			ID: "ip-claimed", Severity: document.SeverityError, Object: f.Claim.IP.String(), Owner: "the host with the MAC " +
				mac.String(),
			Message: fmt.Sprintf("it answers for this node's ip on %s too, so that other nodes send to it instead, at times: a machine that was cloned, say; "+
				"find its port by that MAC in the switch's table and take the address from it (this host's own MAC is %s; to see it:)", f.Claim.Device, f.Claim.MAC),
			Remedy: "ip link show dev " + shell.Quote(f.Claim.Device),
		})
	}
	return out
}

// offload: two faults that are known, and no guess. Kernels before 5.7 spoil the checksum of a
// packet that is masqueraded twice on its way into a vxlan device, unless a stable series has the
// fix; vmxnet3 loses what it segments for a tunnel on a port other than those that it knows.
func offload(f Subject) []document.Finding {
	var out []document.Finding
	for _, o := range f.Offloads {
		quoted := shell.Quote(o.Device)
		switch {
		case o.Device == f.Tunnel && o.Features["tx-checksum-ip-generic"] && spoilsChecksums(f.Host.Kernel):
			out = append(out, document.Finding{
				ID: "checksum-offload", Severity: document.SeverityWarning, Object: o.Device, Owner: "kernel " + f.Host.Kernel,
				Message: "this kernel can spoil the checksums of masqueraded packets in a vxlan: connections that hang for 1, 3 or 63 seconds",
				Remedy:  "ethtool -K " + quoted + " tx-checksum-ip-generic off",
			})
		case o.Device != f.Tunnel && o.Driver == "vmxnet3" &&
			(o.Features["tx-udp_tnl-segmentation"] || o.Features["tx-udp_tnl-csum-segmentation"]):
			out = append(out, document.Finding{
				ID: "tunnel-offload", Severity: document.SeverityWarning, Object: o.Device, Owner: "driver vmxnet3",
				Message: "can lose large packets of a tunnel that it segments itself: pings work, connections hang",
				Remedy:  "ethtool -K " + quoted + " tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off",
			})
		}
	}
	return out
}

// spoilsChecksums goes by the release that a fix came with in each series.
func spoilsChecksums(release string) bool {
	var major, minor, patch int
	if n, _ := fmt.Sscanf(strings.ReplaceAll(release, "-", "."), "%d.%d.%d", &major, &minor, &patch); n < 2 {
		return false
	}
	fixed, series := map[[2]int]int{{5, 6}: 13, {5, 4}: 41, {4, 19}: 123, {4, 14}: 181}[[2]int{major, minor}]
	if series {
		return patch < fixed
	}
	return major < 5 || major == 5 && minor < 7
}
