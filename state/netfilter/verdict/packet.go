package verdict

import (
	"net/netip"
	"slices"
	"strings"
)

// Packet is the first packet of a connection, or one of its answers. Its sender is Src, or one of
// Sources, or an untrusted one, or not known; its destination Dst, or one that no rule names, or not known.
type Packet struct {
	Src, Dst    netip.Addr   // invalid: not known
	Sources     []netip.Addr // of which any may be the sender
	Untrusted   bool         // the sender is somebody whom no rule names
	Abroad      bool         // the destination is
	IPv6        bool         // by itself if Dst is known
	In, Out     string       // devices; "": none
	Protocol    string       // udp, icmp; "": any
	Port        uint16       // destination port, with a protocol that has any; 0: not known
	Established bool         // an answer, or a later packet

	ToHost, ToOther bool // the destination is an address of this host, or surely none; neither: not known
}

// Unknown is a device that nobody can name beforehand, other than lo. None is called so.
const Unknown = "/"

// six says that it is a packet of IPv6.
func (p Packet) six() bool { return p.IPv6 || p.Dst.Is6() }

// answer is whether a match fits.
type answer uint8

const (
	no answer = iota
	maybe
	yes
)

func (a answer) and(b answer) answer { return min(a, b) }
func (a answer) not() answer         { return yes - a }

func is(b bool) answer {
	if b {
		return yes
	}
	return no
}

// from says whether a prefix holds the sender.
func (p Packet) from(prefix netip.Prefix) answer {
	sources := p.Sources
	if p.Src.IsValid() {
		sources = []netip.Addr{p.Src}
	}
	other := func(a netip.Addr) bool { return !prefix.Contains(a) }
	switch {
	case p.Untrusted, prefix.Bits() == 0 && len(sources) == 0:
		return is(prefix.Bits() == 0)
	case len(sources) == 0:
		return maybe
	case !slices.ContainsFunc(sources, other):
		return yes
	case !slices.ContainsFunc(sources, prefix.Contains):
		return no
	}
	return maybe
}

// to says whether a prefix holds the destination.
func (p Packet) to(prefix netip.Prefix) answer {
	switch {
	case p.Abroad || prefix.Bits() == 0:
		return is(prefix.Bits() == 0)
	case !p.Dst.IsValid():
		return maybe
	}
	return is(prefix.Contains(p.Dst))
}

// device compares with a pattern: veth+ is every name that begins so.
func device(pattern, name string) answer {
	prefix, open := strings.CutSuffix(pattern, "+")
	switch {
	case name == Unknown && pattern != "lo" && prefix != "":
		return maybe
	case open:
		return is(strings.HasPrefix(name, prefix))
	}
	return is(pattern == name)
}

// toHost says whether the destination is this host itself.
func (p Packet) toHost() answer {
	switch {
	case p.ToHost:
		return yes
	case p.ToOther:
		return no
	}
	return maybe
}

// local says whether the sender may be this host itself.
func (p Packet) local() answer {
	if p.In == "" || p.In == "lo" {
		return maybe
	}
	return no
}
