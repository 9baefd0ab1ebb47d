package firewall

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/podnet/podnet/state/netfilter/verdict"
	"github.com/podnet/podnet/state/sysctl"
)

// Filters is every packet filter of one family on this host: iptables, and what nftables has
// beside it. Any of them can drop a packet that all others let pass.
type Filters []*verdict.Rules

// Filters reads the rules. Without the programs there are none that could be read: the error says
// which to install. A host without iptables has its tables, if any, in nftables.
func (h *Host) Filters(ipv6 bool) (Filters, error) {
	family, name := uint8(4), "ip"
	if ipv6 {
		family, name = 6, "ip6"
	}
	var rules Filters
	var save saveResult
	read := HasIPTables()
	if read {
		if err := h.hasIPTables(family); err != nil {
			return nil, err
		}
		var err error
		if save, err = h.readSave(family, true); err != nil {
			return nil, err
		}
		rules = Filters{verdict.Parse(save.text, command(family, "iptables"))}
	}
	out, err := runProgram("", "nft", "-j", "list", "ruleset")
	if errors.Is(err, exec.ErrNotFound) {
		err = h.withoutNFT(family, read)
		if read {
			err = errors.Join(h.doubt(family, save, rules[0]), err)
		}
		return rules, err
	}
	if err != nil {
		return rules, err
	}
	more, err := verdict.ParseNFT([]byte(out), verdict.Selection{Family: name, Own: ownTable(), IPTables: !read})
	if err != nil {
		return rules, err
	}
	if read {
		rules[0].Refine(more, name)
	}
	return append(rules, more), nil
}

// withoutNFT is the error of a host whose nftables has tables that only the program nft could show,
// which is not installed. read says that iptables has shown its own.
func (h *Host) withoutNFT(family uint8, read bool) error {
	if h.nft == nil {
		return nil // a kernel without nftables
	}
	tables, err := foreignTables(family == 6, !read)
	if err != nil || len(tables) == 0 {
		return err
	}
	return fmt.Errorf("nft does not run: install the package nftables (to read %s)", strings.Join(tables, ", "))
}

// Walk is what becomes of a packet at a hook, in all filters together.
func (f Filters) Walk(hook string, p verdict.Packet) verdict.Verdict {
	var out verdict.Verdict
	for _, rules := range f {
		v := rules.Walk(hook, p)
		if out.NAT == "" {
			out.NAT, out.NATWhere = v.NAT, v.NATWhere
		}
		if v.Drop && (!out.Drop || out.Unsure && !v.Unsure) {
			v.NAT, v.NATWhere = out.NAT, out.NATWhere
			out = v
		}
	}
	return out
}

// BridgeFiltered says that frames between two ports of a bridge go through the firewall too.
func BridgeFiltered(ipv6 bool) bool {
	name := "net/bridge/bridge-nf-call-iptables"
	if ipv6 {
		name = "net/bridge/bridge-nf-call-ip6tables"
	}
	return sysctl.Is(name, "1")
}
