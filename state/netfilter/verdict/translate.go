package verdict

import (
	"encoding/json"
	"net/netip"
	"strconv"
)

// Translation is a rule that gives packets another destination.
type Translation struct {
	To    netip.AddrPort // port 0: it stays as it is
	Where string         // the rule, with its place
}

// Translate finds the first rule of a hook that gives a packet another destination, as far as
// anybody can tell: of rules among which chance decides it is the first.
func (r *Rules) Translate(hook string, p Packet) (Translation, bool) {
	for _, c := range r.base {
		if c.hook == hook {
			if t, found := r.translate(c, p, map[*chain]bool{}); found {
				return t, true
			}
		}
	}
	return Translation{}, false
}

func (r *Rules) translate(c *chain, p Packet, seen map[*chain]bool) (Translation, bool) {
	if c == nil || seen[c] {
		return Translation{}, false
	}
	seen[c] = true
	for i, rule := range c.rules {
		fits := rule.fits(p)
		switch {
		case fits == no:
			continue
		case rule.to != "":
			if to, is := destination(rule.to); is {
				return Translation{to, place(c, i) + rule.text}, true
			}
		case rule.verdict == "jump" || rule.verdict == "goto":
			if t, found := r.translate(r.chains[c.table+" "+rule.target], p, seen); found {
				return t, true
			}
		}
		if fits == yes && rule.leaves() {
			break
		}
	}
	return Translation{}, false
}

// destination reads an address with or without a port.
func destination(text string) (netip.AddrPort, bool) {
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both, true
	}
	a, err := netip.ParseAddr(text)
	return netip.AddrPortFrom(a, 0), err == nil
}

// nftDestination is what a dnat statement leads to, as iptables-save writes it; "": it depends on
// the packet.
func nftDestination(body json.RawMessage) string {
	var to struct{ Addr, Port any }
	if json.Unmarshal(body, &to) != nil {
		return ""
	}
	addr, _ := to.Addr.(string)
	a, err := netip.ParseAddr(addr)
	port, given := to.Port.(float64)
	switch {
	case err != nil || to.Port != nil && !given:
		return ""
	case !given:
		return a.String()
	case a.Is6():
		return "[" + a.String() + "]:" + strconv.Itoa(int(port))
	}
	return a.String() + ":" + strconv.Itoa(int(port))
}
