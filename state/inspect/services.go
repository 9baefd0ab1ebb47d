package inspect

import (
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/sysctl"
)

// Proxy is a service proxy whose rules do not see what one pod of this node sends to another.
type Proxy struct {
	IPv6   bool
	Rules  string // where its rules are, in words
	Remedy string
}

// UnseenByProxy finds the rules of kube-proxy, in its iptables or nftables mode, on a host that
// does not have frames between ports of a bridge pass the packet filter. A pod's connection to the
// address of a service, and by it to another pod of the same node, is lost there: the answer goes
// over the bridge with the pod's own source, not with the address of the service.
func UnseenByProxy(n *kernel.Node, ipv6 bool) (*Proxy, error) {
	if firewall.BridgeFiltered(ipv6) {
		return nil, nil
	}
	rules, err := n.Firewall.Filters(ipv6)
	if err != nil {
		return nil, err
	}
	family, setting := "ip", "net.bridge.bridge-nf-call-iptables"
	if ipv6 {
		family, setting = "ip6", "net.bridge.bridge-nf-call-ip6tables"
	}
	remedy := "sysctl -w " + setting + "=1"
	if _, err := sysctl.Read("net/bridge/bridge-nf-call-iptables"); err != nil {
		remedy = "modprobe br_netfilter && " + remedy
	}
	for _, r := range rules {
		switch {
		case r.HasChain("nat", "KUBE-SERVICES"):
			return &Proxy{ipv6, "chain KUBE-SERVICES of table nat", remedy}, nil
		case r.HasChain(family+" kube-proxy", "services"):
			return &Proxy{ipv6, "table " + family + " kube-proxy", remedy}, nil
		}
	}
	return nil, nil
}
