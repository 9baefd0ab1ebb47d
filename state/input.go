package state

import (
	"fmt"
	"strings"
)

// tunnelInput finds out whether the INPUT chain lets the tunnel's packets in, as far as that can be told from the outside:
// a chain that another one decides in is given the benefit of the doubt.
type tunnelInput struct {
	family  uint8
	port    string // the tunnel's; "": its packets come in over the other family
	rules   int
	policy  string // of INPUT
	open    bool   // a rule lets them in, or may
	dropped string // the rule that ends all others' way, as "N REST"
}

func (t *tunnelInput) header(line string) {
	if name, rest, _ := strings.Cut(line[1:], " "); name == "INPUT" {
		t.policy, _, _ = strings.Cut(rest, " ")
	}
}

func (t *tunnelInput) rule(rule string) {
	t.rules++
	if t.open || t.dropped != "" {
		return
	}
	match, target, _ := strings.Cut(" "+comment.ReplaceAllString(rule, ""), " -j ")
	verdict, _, _ := strings.Cut(target, " ")
	switch verdict {
	case "DROP", "REJECT":
		if match == "" {
			t.dropped = fmt.Sprintf("%d %s", t.rules, rule)
		}
	case "ACCEPT", "RETURN":
		t.open = t.mayMatch(match)
	default: // another chain
		t.open = verdict != "" && verdict != "LOG"
	}
}

// mayMatch says whether a packet to the tunnel's port from some node may fit.
func (t *tunnelInput) mayMatch(match string) bool {
	switch {
	case strings.Contains(match, " -i lo"), strings.Contains(match, " -p tcp"), strings.Contains(match, " -p icmp"), strings.Contains(match, " -p ipv6-icmp"),
		strings.Contains(match, "RELATED,ESTABLISHED"), strings.Contains(match, "ESTABLISHED,RELATED"), strings.Contains(match, "INVALID"):
		return false
	case strings.Contains(match, "--dport "):
		return strings.Contains(match+" ", "--dport "+t.port+" ")
	}
	return true
}

// conflicts is what there is to say of it.
func (t *tunnelInput) conflicts() []Conflict {
	if t.port == "" || t.open || t.dropped == "" && t.policy != "DROP" {
		return nil
	}
	why := "its policy is DROP"
	if number, _, _ := strings.Cut(t.dropped, " "); number != "" {
		why = "its rule " + number + " ends all"
	}
	return []Conflict{{
		Key:    Key{Kind: KindChain, Name: "INPUT", Num: uint32(t.family)},
		Owner:  fmt.Sprintf("lets no UDP to port %s in (%s): no node reaches this one's pods", t.port, why),
		Remedy: fmt.Sprintf("%s -I INPUT -p udp --dport %s -j ACCEPT", command(t.family, "iptables"), t.port),
	}}
}

// tunnelPort is that of the tunnel in want, "" if its packets come in over another family.
func tunnelPort(family uint8, want *Set) string {
	for _, l := range want.Links.Rows() {
		if l.Type == "vxlan" && l.Local.Is4() == (family == 4) {
			return fmt.Sprint(l.Port)
		}
	}
	return ""
}
