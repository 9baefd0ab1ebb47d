package state

import (
	"net/netip"
	"strings"
)

// Rule is a rule of podnet's own that either packet filter can have. It asks for all that is set.
type Rule struct {
	Source, NotSource netip.Prefix
	Destination       netip.Prefix // of all addresses: asks for nothing
	In, Out           string       // devices
	Verdict           Verdict
}

// Verdict is what becomes of a packet that a rule fits.
type Verdict uint8

// The verdicts that podnet's rules have. Masquerade chooses a random port for each connection.
const (
	Accept Verdict = iota
	Return
	Masquerade
)

// IPTables returns the rule as iptables-save prints it behind the chain's name.
func (r Rule) IPTables() string {
	var words []string
	for _, w := range []struct {
		option string
		prefix netip.Prefix
	}{{"! -s", r.NotSource}, {"-s", r.Source}, {"-d", r.Destination}} {
		if w.prefix.IsValid() && w.prefix.Bits() > 0 {
			words = append(words, w.option, w.prefix.String())
		}
	}
	if r.In != "" {
		words = append(words, "-i", r.In)
	}
	if r.Out != "" {
		words = append(words, "-o", r.Out)
	}
	target := map[Verdict]string{Accept: "ACCEPT", Return: "RETURN", Masquerade: "MASQUERADE --random-fully"}[r.Verdict]
	return strings.Join(append(words, "-j", target), " ")
}

// NFT returns the rule as nft prints it in a table of both families. family is the one that the rule
// is about, by its IP version.
func (r Rule) NFT(family uint8) string {
	var words []string
	if r.In != "" {
		words = append(words, `iifname "`+r.In+`"`)
	}
	if r.Out != "" {
		words = append(words, `oifname "`+r.Out+`"`)
	}
	ip, addressed := map[uint8]string{4: "ip", 6: "ip6"}[family], false
	for _, w := range []struct {
		operator string
		prefix   netip.Prefix
	}{{"saddr != ", r.NotSource}, {"saddr ", r.Source}, {"daddr ", r.Destination}} {
		if w.prefix.IsValid() && w.prefix.Bits() > 0 {
			words, addressed = append(words, ip+" "+w.operator+NFTPrefix(w.prefix)), true
		}
	}
	if !addressed {
		words = append(words, map[uint8]string{4: "meta nfproto ipv4", 6: "meta nfproto ipv6"}[family])
	}
	verdict := map[Verdict]string{Accept: "accept", Return: "return", Masquerade: "masquerade fully-random"}[r.Verdict]
	return strings.Join(append(words, verdict), " ")
}

// ParseRule reads what IPTables and NFT write. It reports false for any other rule. A family that
// nothing but "meta nfproto" tells is not in the Rule.
func ParseRule(text string) (r Rule, ok bool) {
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		following := func() string {
			i++
			if i < len(words) {
				return strings.Trim(words[i], `"`)
			}
			return ""
		}
		switch words[i] {
		case "!":
			ok = following() == "-s" && readPrefix(following(), &r.NotSource)
		case "-s":
			ok = readPrefix(following(), &r.Source)
		case "-d":
			ok = readPrefix(following(), &r.Destination)
		case "ip", "ip6":
			switch field, next := following(), following(); {
			case field == "daddr":
				ok = readPrefix(next, &r.Destination)
			case next == "!=":
				ok = readPrefix(following(), &r.NotSource)
			default:
				ok = readPrefix(next, &r.Source)
			}
		case "meta":
			ok = following() == "nfproto" && following() != ""
		case "-i", "iifname":
			r.In, ok = following(), true
		case "-o", "oifname":
			r.Out, ok = following(), true
		case "-j":
			ok = i+1 < len(words)
		case "ACCEPT", "accept":
			r.Verdict, ok = Accept, true
		case "RETURN", "return":
			r.Verdict, ok = Return, true
		case "MASQUERADE", "masquerade":
			r.Verdict, ok = Masquerade, following() != ""
		default:
			return r, false
		}
		if !ok {
			return r, false
		}
	}
	return r, ok
}

// readPrefix reads a network, or an address by itself.
func readPrefix(text string, to *netip.Prefix) bool {
	p, err := netip.ParsePrefix(text)
	if a, single := netip.ParseAddr(text); single == nil {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	*to = p
	return err == nil
}

// NFTPrefix returns a network as nft prints it, which has single addresses without their length.
func NFTPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
