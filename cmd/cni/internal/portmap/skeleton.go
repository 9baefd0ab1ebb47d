package portmap

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
)

// table is podnet's own in nftables. It is there as long as a mapping is.
const table = "podnet_portmap"

// skeleton are the rules that all pods share. What differs between pods are elements of the maps and sets, so that a packet
// costs the same however many there are; and only the first packet of a connection to an address of the host comes here.
//
// dnat4 and dnat6 lead a host address, protocol and port to a pod's; of masq4 and masq6, which begin with a source, is what is
// to come from the host itself. An address range stands for all. [S] is the scope's suffix, [4] and [6] its conditions.
const skeleton = `add table inet podnet_portmap
add map inet podnet_portmap dnat4[S] { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; flags interval; }
add map inet podnet_portmap dnat6[S] { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; flags interval; }
add set inet podnet_portmap masq4[S] { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags interval; }
add set inet podnet_portmap masq6[S] { type ipv6_addr . ipv6_addr . inet_proto . inet_service; flags interval; }
add chain inet podnet_portmap hostports[S]
add chain inet podnet_portmap prerouting[S] { type nat hook prerouting priority -100; }
add chain inet podnet_portmap output[S] { type nat hook output priority -100; }
add chain inet podnet_portmap postrouting[S] { type nat hook postrouting priority 100; }
flush chain inet podnet_portmap hostports[S]
flush chain inet podnet_portmap prerouting[S]
flush chain inet podnet_portmap output[S]
flush chain inet podnet_portmap postrouting[S]
add rule inet podnet_portmap hostports[S] ip saddr . ip daddr . meta l4proto . th dport @masq4[S] meta mark set meta mark | [M] comment "mark IPv4"
add rule inet podnet_portmap hostports[S] ip6 saddr . ip6 daddr . meta l4proto . th dport @masq6[S] meta mark set meta mark | [M] comment "mark IPv6"
add rule inet podnet_portmap hostports[S] meta l4proto { tcp, udp, sctp } dnat ip to ip daddr . meta l4proto . th dport map @dnat4[S] comment "to pod IPv4"
add rule inet podnet_portmap hostports[S] meta l4proto { tcp, udp, sctp } dnat ip6 to ip6 daddr . meta l4proto . th dport map @dnat6[S] comment "to pod IPv6"
add rule inet podnet_portmap prerouting[S] meta nfproto ipv4 [4] fib daddr type local jump hostports[S] comment "local IPv4"
add rule inet podnet_portmap prerouting[S] ip6 daddr != ::1 [6] fib daddr type local jump hostports[S] comment "local IPv6"
add rule inet podnet_portmap output[S] meta nfproto ipv4 [4] fib daddr type local jump hostports[S] comment "local IPv4"
add rule inet podnet_portmap output[S] ip6 daddr != ::1 [6] fib daddr type local jump hostports[S] comment "local IPv6"
add rule inet podnet_portmap postrouting[S] meta mark & [M] == [M] ct status dnat masquerade comment "masquerade"
`

// scope tells configurations apart whose rules differ: by their conditions and mark. Most have none, and the empty scope.
type scope struct{ suffix, script string }

func scopeOf(s settings) scope {
	v4, v6 := strings.Join(s.conditions[false], " "), strings.Join(s.conditions[true], " ")
	suffix := ""
	if v4 != "" || v6 != "" || s.markBit != defaultMarkBit {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", v4, v6, s.markBit))
		suffix = "_" + hex.EncodeToString(sum[:4])
	}
	mark := fmt.Sprintf("%#x", uint32(1)<<s.markBit)
	return scope{suffix, strings.NewReplacer("[S]", suffix, "[4]", v4, "[6]", v6, "[M]", mark).Replace(skeleton)}
}

// lacks names the first rule of the skeleton that is not in force where it should be, empty if all are, and nothing else.
func (s scope) lacks(rules []firewall.Rule) string {
	have := map[string][]string{}
	for _, r := range rules {
		have[r.Chain] = append(have[r.Chain], r.Comment)
	}
	for line := range strings.Lines(s.script) {
		chain, comment, ok := skeletonRule(line)
		if !ok {
			continue
		}
		if len(have[chain]) == 0 || have[chain][0] != comment {
			return fmt.Sprintf("rule %q of chain %s", comment, chain)
		}
		have[chain] = have[chain][1:]
	}
	for _, chain := range []string{"hostports", "prerouting", "output", "postrouting"} {
		if len(have[chain+s.suffix]) > 0 {
			return "chain " + chain + s.suffix
		}
	}
	return ""
}

func skeletonRule(line string) (chain, comment string, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "add rule inet "+table+" ")
	if !ok {
		return "", "", false
	}
	chain, rest, _ = strings.Cut(rest, " ")
	i := strings.LastIndex(rest, ` comment "`)
	return chain, strings.Trim(rest[i+len(" comment "):], `"`), true
}
