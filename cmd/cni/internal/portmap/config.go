package portmap

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netfilter"
)

// Names of backends in configurations.
const (
	nameIPTables = "iptables"
	nameNFTables = "nftables"
)

// defaultMarkBit marks what to masquerade. Kubernetes has 14 and 15.
const defaultMarkBit = 13

// config is the plugin's configuration, with the fields of the reference plugin.
type config struct {
	Backend              string   `json:"backend"`
	SNAT                 bool     `json:"snat"`
	MasqAll              bool     `json:"masqAll"`
	ConditionsV4         []string `json:"conditionsV4,omitempty"`
	ConditionsV6         []string `json:"conditionsV6,omitempty"`
	MarkMasqBit          *int     `json:"markMasqBit,omitempty"`          // nil if it is not set
	ExternalSetMarkChain *string  `json:"externalSetMarkChain,omitempty"` // nil if it is not set
	PortMappings         []entry  `json:"portMappings"`                   // runtimeConfig.portMappings

	// where podnetd, which wrote the configuration, looks for records; "": somebody else wrote it
	records recordDir
}

// entry is one mapping as the runtime asks for it.
type entry struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP"`
}

// decode returns the plugin's part of the configuration, and what cannot be in it.
func decode(req *protocol.Request) (*config, error) {
	c := &config{SNAT: true}
	o := req.Config
	o.String("backend", &c.Backend)
	o.Bool("snat", &c.SNAT)
	o.Bool("masqAll", &c.MasqAll)
	o.Any("conditionsV4", &c.ConditionsV4)
	o.Any("conditionsV6", &c.ConditionsV6)
	o.Any("markMasqBit", &c.MarkMasqBit)
	o.Any("externalSetMarkChain", &c.ExternalSetMarkChain)
	o.Object("runtimeConfig").Any("portMappings", &c.PortMappings)
	c.records = recordsOf(req)
	if err := o.Err(); err != nil {
		return nil, err
	}
	return c, c.validate()
}

// validate returns what cannot be in a configuration. The backend and the runtime's part are
// checked elsewhere.
func (c *config) validate() error {
	switch {
	case c.Backend != "" && c.Backend != nameIPTables && c.Backend != nameNFTables:
		return configError("backend %q is neither %s nor %s", c.Backend, nameIPTables, nameNFTables)
	case c.MarkMasqBit != nil && c.ExternalSetMarkChain != nil:
		return configError("markMasqBit and externalSetMarkChain exclude each other: " +
			"set one of them")
	case c.MarkMasqBit != nil && (*c.MarkMasqBit < 0 || *c.MarkMasqBit > 31):
		return configError("markMasqBit %d is not between 0 and 31", *c.MarkMasqBit)
	case c.ExternalSetMarkChain != nil && !isChainName(*c.ExternalSetMarkChain):
		return configError("externalSetMarkChain %q is no name of a chain", *c.ExternalSetMarkChain)
	}
	for _, word := range append(append([]string(nil), c.ConditionsV4...), c.ConditionsV6...) {
		if strings.ContainsAny(word, "\n\r;#") {
			return configError("condition %q: conditions are part of one rule, without comments",
				word)
		}
	}
	return nil
}

func configError(format string, args ...any) error {
	return protocol.Errorf(protocol.CodeConfig, format, args...)
}

// isChainName reports whether iptables takes a name for a chain: what starts with a dash or an
// exclamation mark would be an option.
func isChainName(s string) bool {
	if s == "" || len(s) >= 29 {
		return false
	}
	return !strings.ContainsAny(s, " \t\n\r\"'\\") && s[0] != '-' && s[0] != '!'
}

func (c *config) settings() settings {
	s := settings{
		conditions: map[bool][]string{false: words(c.ConditionsV4), true: words(c.ConditionsV6)},
		markBit:    defaultMarkBit,
	}
	if c.MarkMasqBit != nil {
		s.markBit = *c.MarkMasqBit
	}
	if c.ExternalSetMarkChain != nil {
		s.markChain = *c.ExternalSetMarkChain
	}
	return s
}

// words drops what is empty, which stands for no condition.
func words(list []string) []string {
	var kept []string
	for _, w := range list {
		if strings.TrimSpace(w) != "" {
			kept = append(kept, w)
		}
	}
	return kept
}

// service is what entries are told apart by before their addresses of the host are looked at.
type service struct {
	protocol string
	port     int
	ipv6     bool
}

// mappings returns the runtime's entries for the addresses that a pod has. Of two that say the
// same it keeps the wider. An entry may name an address of the host of a family that the pod
// lacks, but one that leaves its port without any mapping is refused.
func (c *config) mappings(pod map[bool]netip.Prefix) ([]mapping, error) {
	var order []service
	found := map[service][]mapping{}
	useless := map[int]error{}
	for i, e := range c.PortMappings {
		hosts, err := e.hosts()
		if err != nil {
			return nil, err
		}
		for _, host := range hosts {
			if err := c.workable(host, pod); err != nil {
				useless[i] = err
				continue
			}
			s := service{e.protocol(), e.HostPort, host.Is6()}
			if found[s] == nil {
				order = append(order, s)
			}
			m := mapping{
				s.protocol,
				netip.AddrPortFrom(host, uint16(e.HostPort)),
				netip.AddrPortFrom(pod[s.ipv6].Addr(), uint16(e.ContainerPort)),
			}
			if found[s], err = merge(found[s], m); err != nil {
				return nil, err
			}
		}
	}
	for i, e := range c.PortMappings {
		s := service{e.protocol(), e.HostPort, false}
		if useless[i] != nil && found[s] == nil && found[service{s.protocol, s.port, true}] == nil {
			return nil, configError("portMappings: host port %d/%s cannot lead to the pod: %w",
				s.port, s.protocol, useless[i])
		}
	}
	var all []mapping
	for _, s := range order {
		all = append(all, found[s]...)
	}
	return all, nil
}

// workable returns why connections to an address of the host cannot reach a pod with these
// addresses; nil if they can.
func (c *config) workable(host netip.Addr, pod map[bool]netip.Prefix) error {
	family := "IPv4"
	if host.Is6() {
		family = "IPv6"
	}
	switch {
	case len(pod) == 0:
		return errors.New("prevResult has no address of its interface; " +
			"portmap goes behind the plugin that gives it one")
	case !pod[host.Is6()].IsValid():
		return fmt.Errorf("hostIP %s is %s, and the pod has no %[2]s address", host, family)
	case host == netip.IPv6Loopback():
		return fmt.Errorf("hostIP %s: the kernel routes no packets from the IPv6 loopback address; "+
			"use 127.0.0.1, or another address of the host", host)
	case host.IsLoopback() && !c.SNAT:
		return fmt.Errorf("hostIP %s: the pod cannot answer a loopback address; "+
			"leave out snat: false, or use another address of the host", host)
	}
	return nil
}

// merge adds a mapping to those of the same service, which do not overlap.
func merge(all []mapping, m mapping) ([]mapping, error) {
	var kept []mapping
	for _, o := range all {
		switch {
		case !o.overlaps(m):
			kept = append(kept, o)
		case o.pod != m.pod:
			return nil, configError("portMappings: host port %d/%s is to lead to %s and to %s: "+
				"leave one out", m.host.Port(), m.protocol, o.pod, m.pod)
		case o.wild():
			m = o
		}
	}
	return append(kept, m), nil
}

func (e entry) protocol() string {
	if e.Protocol == "" {
		return "tcp"
	}
	return strings.ToLower(e.Protocol)
}

// hosts returns the addresses of the host that an entry is about: the unspecified one stands for
// all of a family.
func (e entry) hosts() ([]netip.Addr, error) {
	switch {
	case e.HostPort < 1 || e.HostPort > 65535:
		return nil, configError("portMappings: hostPort %d is not between 1 and 65535", e.HostPort)
	case e.ContainerPort < 1 || e.ContainerPort > 65535:
		return nil, configError("portMappings: containerPort %d is not between 1 and 65535",
			e.ContainerPort)
	case netfilter.Protocols[e.protocol()] == 0:
		return nil, configError("portMappings: protocol %q is none of tcp, udp, sctp", e.Protocol)
	case e.HostIP == "":
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, nil
	}
	addr, err := netip.ParseAddr(e.HostIP)
	if err != nil || addr.Zone() != "" {
		return nil, configError("portMappings: hostIP %q is no IP address", e.HostIP)
	}
	return []netip.Addr{addr.Unmap()}, nil
}

// sources returns where connections to a pod come from that have to be masqueraded: its own
// network, which the pod would answer directly, and the host itself by a loopback address, which
// nobody could answer. IPv6 does not route those at all.
func (c *config) sources(pod netip.Prefix) []netip.Prefix {
	switch {
	case !c.SNAT:
		return nil
	case c.MasqAll && pod.Addr().Is4():
		return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0)}
	case c.MasqAll:
		return []netip.Prefix{netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	case pod.Addr().Is4():
		return []netip.Prefix{pod.Masked(), netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)}
	}
	return []netip.Prefix{pod.Masked()}
}
