package portmap

import (
	"net/netip"
	"strings"
)

// Protocols by the names that configurations and rules use.
var protocols = map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132}

// mapping is a port of the host that leads to one of a pod. The unspecified address of a family stands for all that the host
// has of it.
type mapping struct {
	protocol string
	host     netip.AddrPort
	pod      netip.AddrPort
}

func (m mapping) String() string { return m.protocol + " " + m.host.String() + " " + m.pod.String() }

func parseMapping(text string) (mapping, bool) {
	words := strings.Fields(text)
	if len(words) != 3 || protocols[words[0]] == 0 {
		return mapping{}, false
	}
	host, err := netip.ParseAddrPort(words[1])
	if err != nil {
		return mapping{}, false
	}
	pod, err := netip.ParseAddrPort(words[2])
	return mapping{words[0], host, pod}, err == nil
}

func (m mapping) ipv6() bool { return m.host.Addr().Is6() }

// wild says that every address of the host will do.
func (m mapping) wild() bool { return m.host.Addr().IsUnspecified() }

// overlaps says whether a packet could be meant by both.
func (m mapping) overlaps(o mapping) bool {
	return m.protocol == o.protocol && m.host.Port() == o.host.Port() && m.ipv6() == o.ipv6() &&
		(m.wild() || o.wild() || m.host.Addr() == o.host.Addr())
}

// forward is a mapping and where connections come from that have to come from the host instead, or the answers would not
// come back through it.
type forward struct {
	mapping
	sources []netip.Prefix
}

// attachment is what an ADD asks for.
type attachment struct {
	owner    owner
	forwards []forward
	settings
}

// settings are those of a configuration that change the rules themselves.
type settings struct {
	conditions map[bool][]string // by whether it is for IPv6
	markBit    int
	markChain  string // somebody else's that marks what to masquerade; empty: ours
}

// family are the forwards of one.
func (a *attachment) family(ipv6 bool) []forward {
	var forwards []forward
	for _, f := range a.forwards {
		if f.ipv6() == ipv6 {
			forwards = append(forwards, f)
		}
	}
	return forwards
}

// masquerades says whether any of them does.
func masquerades(forwards []forward) bool {
	for _, f := range forwards {
		if len(f.sources) > 0 {
			return true
		}
	}
	return false
}

// holding is a mapping that is in force.
type holding struct {
	owner owner
	mapping
}
