package firewall

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

// OpenTunnel says whether the tunnel's port takes packets of anybody: a vxlan device believes any
// sender, who is then among the pods. remedy is the command that lets only the nodes in; "": the
// port is closed, or nobody can tell. A rule that nobody can judge from outside gets the benefit of
// the doubt.
func (h *Host) OpenTunnel(t Traffic) (remedy string, err error) {
	if t.Port == 0 || t.Want.FDB.Len() == 0 {
		return "", nil
	}
	family := uint8(4)
	if t.Local.Is6() {
		family = 6
	}
	generation, known := h.Generation()
	if known && h.guarded(t, generation) {
		return "", nil
	}
	if !t.NFT {
		rules, err := h.readRules(family, generation, known)
		if err != nil {
			return "", err
		}
		if rules.filter.Walk(verdict.Input, t.fromUntrusted()).Drop {
			return "", nil
		}
	}
	bases, err := h.foreignChains(t.NFT, generation, known)
	if err != nil {
		return "", err
	}
	for i := range bases {
		if b := &bases[i]; b.input && b.sees(t.Local.Is6()) && b.judge(t.fromUntrusted()).Drop {
			return "", nil
		}
	}
	return fmt.Sprintf("%s -I INPUT -p udp --dport %d -j DROP && %s", command(family, "iptables"), t.Port, t.letIn()), nil
}

// guarded reports whether podnet's own chain lets only peers in.
func (h *Host) guarded(t Traffic, generation uint32) bool {
	want, _, wanted := t.Want.Chains.Find(state.Key{Kind: state.KindChain, Name: state.TunnelChain})
	return wanted && h.readOwn(generation) == nil && slices.Contains(h.own.chains, want)
}

// OtherRules are rules of the iptables that podnet does not use: the kernel asks both kinds.
type OtherRules struct {
	Program string // iptables-legacy, ip6tables-nft
	Uses    string // the kind that podnet uses, as iptables names it
	Rules   int
	Drops   bool   // they surely drop what podnet accepts
	Remedy  string // moves them to the kind that podnet uses
}

// OtherIPTables looks for rules of the kind of iptables that the command iptables is not.
func (h *Host) OtherIPTables(t Traffic) ([]OtherRules, error) {
	var out []OtherRules
	for _, family := range []uint8{4, 6} {
		legacy, err := netfilter.IsLegacy(command(family, "iptables"))
		if errors.Is(err, netfilter.ErrNoProgram) {
			continue // there are rules of neither
		}
		if err != nil {
			return out, err
		}
		other, uses := "legacy", "nf_tables"
		if legacy {
			other, uses = "nft", "legacy"
		}
		name := command(family, "iptables-"+other)
		if _, err := exec.LookPath(name + "-save"); err != nil {
			continue
		}
		save, err := runIPTables(family, "iptables-"+other+"-save", "")
		if err != nil {
			return out, err
		}
		if r, any := otherRules(family, name, uses, save, t); any {
			out = append(out, r)
		}
	}
	return out, nil
}

func otherRules(family uint8, name, uses, save string, t Traffic) (OtherRules, bool) {
	r := OtherRules{Program: name, Uses: command(family, "iptables") + " (" + uses + ")",
		Rules: strings.Count("\n"+save, "\n-A ")}
	rules := verdict.Parse(save, name)
	forward, input := rules.Walk(verdict.Forward, forwarded(t.Bridge, t.Tunnel, family == 6)), rules.Walk(verdict.Input,
		t.fromPeer())
	r.Drops = t.Port != 0 && (forward.Surely() || t.Local.Is6() == (family == 6) && input.Surely())
	var empty strings.Builder // every table with its built-in chains and nothing in them
	for line := range strings.Lines(save) {
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case strings.HasPrefix(line, "*"), word == "COMMIT":
			empty.WriteString(word + `\n`)
		case strings.HasPrefix(line, ":") && !strings.Contains(line, " - "):
			empty.WriteString(word + ` ACCEPT\n`)
		}
	}
	r.Remedy = fmt.Sprintf("%s-save | %s --noflush && printf '%s' | %s-restore",
		name, command(family, "iptables-restore"), &empty, name)
	return r, r.Rules > 0 || rules.Closed(verdict.Forward) || rules.Closed(verdict.Input)
}
