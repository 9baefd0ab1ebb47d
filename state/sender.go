package state

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/state/device"
)

// Sender is what a pod may send from: its MAC address and the addresses that it was given, at most
// one of a family. The zero value stands for a pod that may send from anything.
type Sender struct {
	MAC        MAC
	IPv4, IPv6 netip.Addr
	Damage     string // how the sets differ from that; podnet wants none
}

// SenderOf returns the sender with the addresses, and reports whether there are a MAC address and
// an address.
func SenderOf(mac MAC, addrs []netip.Addr) (s Sender, complete bool) {
	s.MAC = mac
	for _, a := range addrs {
		if a.Is4() {
			s.IPv4 = a
		} else {
			s.IPv6 = a
		}
	}
	return s, mac != MAC{} && len(addrs) > 0
}

// Addrs returns the addresses that the pod was given.
func (s Sender) Addrs() (given []netip.Addr) {
	for _, a := range []netip.Addr{s.IPv4, s.IPv6} {
		if a.IsValid() {
			given = append(given, a)
		}
	}
	return given
}

// String is the sender with a space in front.
func (s Sender) String() string {
	if s == (Sender{}) {
		return ""
	}
	text := " sends from " + s.MAC.String()
	for _, a := range s.Addrs() {
		text += " " + a.String()
	}
	if s.Damage != "" {
		text += ", " + s.Damage
	}
	return text
}

// SendersChain keeps pods from sending from anything but what they were given.
const SendersChain = "pod-senders"

// senders is the chain's content. A frame of a pod that is none of IPv4, ARP and IPv6 is dropped, as
// is one with a VLAN's tag. Questions for the owner of an address come from no address; in an answer,
// and in the question whether an address is free, the address that it is about has to be the pod's.
func senders() string {
	rules := []string{
		"iifgroup != GROUP accept",
		"ip saddr 0.0.0.0 drop",
		"iifname . ether saddr . ip saddr @FOUR accept",
		"iifname . arp saddr ether . arp saddr ip != @FOUR drop",
		"iifname . ether saddr . arp saddr ip @FOUR accept",
		"iifname . ether saddr . ip6 saddr != @SIX drop",
		"icmpv6 type nd-neighbor-advert iifname . ether saddr . @th,64,128 != @SIX drop",
		"icmpv6 type nd-neighbor-solicit ip6 saddr :: iifname . ether saddr . @th,64,128 != @SIX drop",
		"ip6 saddr != :: accept",
		"icmpv6 type nd-neighbor-solicit accept",
		"icmpv6 type mld-listener-report accept",
		"icmpv6 type mld-listener-done accept",
		"icmpv6 type mld2-listener-report accept",
		"drop",
	}
	return strings.NewReplacer("GROUP", fmt.Sprint(device.GroupPod), "FOUR", device.SendersIPv4, "SIX", device.SendersIPv6).
		Replace(strings.Join(rules, "\n"))
}

// JudgesSenders says that the set has the chain which judges what pods send from.
func (s *Set) JudgesSenders() bool {
	for _, c := range s.Chains.Rows() {
		if c.Chain == SendersChain {
			return true
		}
	}
	return false
}
