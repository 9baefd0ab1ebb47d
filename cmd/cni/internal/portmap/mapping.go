package portmap

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/state/netfilter"
)

// mapping is a port of the host that leads to one of a pod. The unspecified address of a family
// stands for all that the host has of it.
type mapping struct {
	protocol string
	host     netip.AddrPort
	pod      netip.AddrPort
}

// String returns the mapping as markers name it: protocol, host and pod.
func (m mapping) String() string {
	return m.protocol + " " + m.host.String() + " " + m.pod.String()
}

func parseMapping(text string) (mapping, bool) {
	words := strings.Fields(text)
	if len(words) != 3 || netfilter.Protocols[words[0]] == 0 {
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

// wild reports whether every address of the host will do.
func (m mapping) wild() bool { return m.host.Addr().IsUnspecified() }

// overlaps reports whether a packet could be meant by both.
func (m mapping) overlaps(o mapping) bool {
	return m.protocol == o.protocol && m.host.Port() == o.host.Port() && m.ipv6() == o.ipv6() &&
		(m.wild() || o.wild() || m.host.Addr() == o.host.Addr())
}

// forward is a mapping and where connections come from that have to come from the host instead, or
// the answers would not come back through it.
type forward struct {
	mapping
	sources []netip.Prefix
}

// attachment is what an ADD asks for.
type attachment struct {
	owner    owner
	pod      map[bool]netip.Prefix // the pod's addresses, by whether they are IPv6
	asked    []entry               // what the runtime asks for, of either family
	forwards []forward
	settings
}

// settings are those of a configuration that change the rules themselves.
type settings struct {
	conditions map[bool][]string // by whether it is for IPv6
	markBit    int
	markChain  string // another program's chain that marks what to masquerade; "" for podnet's
}

// conditionFields are the names of the configuration's fields, by whether they are for IPv6.
var conditionFields = map[bool]string{false: "conditionsV4", true: "conditionsV6"}

// blame returns the error of a program that was told to make rules for some families. If it has
// refused them, and there are conditions, these are at fault: nothing else in such a rule is the
// operator's.
func (s *settings) blame(err error, families ...bool) error {
	var fields []string
	for _, ipv6 := range families {
		if len(s.conditions[ipv6]) > 0 {
			text := strings.Join(s.conditions[ipv6], " ")
			fields = append(fields, fmt.Sprintf("%s (%s)", conditionFields[ipv6], text))
		}
	}
	if !errors.Is(err, netfilter.ErrRefused) || len(fields) == 0 {
		return err
	}
	return configError("%s: the rule with that was refused, correct the field or leave it out: %w",
		strings.Join(fields, ", "), err)
}

// family returns the forwards of one family.
func (a *attachment) family(ipv6 bool) []forward {
	var forwards []forward
	for _, f := range a.forwards {
		if f.ipv6() == ipv6 {
			forwards = append(forwards, f)
		}
	}
	return forwards
}

// ports returns the ports of the host.
func (a *attachment) ports() map[uint16]bool {
	ports := map[uint16]bool{}
	for _, f := range a.forwards {
		ports[f.host.Port()] = true
	}
	return ports
}

// mappings returns the mappings of the forwards.
func (a *attachment) mappings() []mapping {
	var all []mapping
	for _, f := range a.forwards {
		all = append(all, f.mapping)
	}
	return all
}

// masquerades reports whether any of the forwards masquerades.
func masquerades(forwards []forward) bool {
	for _, f := range forwards {
		if len(f.sources) > 0 {
			return true
		}
	}
	return false
}

// mappingOf returns the mapping that a rule makes by translating destinations; false if the rule
// makes none.
func mappingOf(r netfilter.Rule, ipv6 bool) (mapping, bool) {
	host := netip.IPv4Unspecified()
	if ipv6 {
		host = netip.IPv6Unspecified()
	}
	if r.Destination.IsValid() {
		host = r.Destination.Addr()
	}
	for name, number := range netfilter.Protocols {
		if number == r.Protocol {
			return mapping{name, netip.AddrPortFrom(host, r.Port), r.To}, r.To.IsValid()
		}
	}
	return mapping{}, false
}

// holding is a mapping that is in force.
type holding struct {
	owner owner
	mapping
}

// mappingsOf returns the mappings of one owner.
func mappingsOf(held []holding, o owner) []mapping {
	var maps []mapping
	for _, h := range held {
		if h.owner == o {
			maps = append(maps, h.mapping)
		}
	}
	return maps
}
