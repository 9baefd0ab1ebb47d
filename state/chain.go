package state

import (
	"fmt"
	"strings"

	"github.com/podnet/podnet/state/device"
)

// Chain is one of podnet's chains with its whole content. One of iptables is jumped to from a
// built-in chain; one of nftables is in a table of podnet's own and has a hook of its own.
type Chain struct {
	Family uint8  // of iptables: 4 or 6; of nftables: 0
	Table  string // nat or filter; of nftables with its family: inet podnet
	Chain  string
	Rules  string // a line each, as iptables-save prints them behind "-A CHAIN ", or as nft does
	Hook   string // the built-in chain that jumps to it; of nftables type, hook and priority
	Jumps  int    // how often; podnet wants one, and where it is does not matter here
	Others string // jumps to it from elsewhere or under conditions, a line each: "CHAIN REST"; podnet wants none
}

// ChainPrefix marks podnet's chains of iptables, whatever the version that made them.
const ChainPrefix = "PODNET-"

// ForwardChain is the one that accepts what pods send and receive.
const ForwardChain = ChainPrefix + "FORWARD"

// MasqueradeChain is the chain of nftables by which pods leave the cluster with the node's address.
const MasqueradeChain = "masquerade-pods"

// OwnTable and OwnBridgeTable are podnet's own tables of nftables: of what the host routes, and of
// what its bridges forward.
const (
	OwnTable       = "inet " + device.OwnTable
	OwnBridgeTable = "bridge " + device.OwnTable
)

// The chains of nftables that fence pods: off from the host's loopback addresses and from sources
// that are not theirs, and off from each other's router advertisements.
const (
	FencePodsChain  = "fence-pods"
	FencePortsChain = "fence-ports"
)

// NFT says that the chain is one of nftables, in a table of podnet's own.
func (c Chain) NFT() bool { return c.Family == 0 }

func (c Chain) Key() Key     { return Key{Kind: KindChain, Name: c.Chain, Num: uint32(c.Family)} }
func (c Chain) Parent() Key  { return Key{} }
func (c Chain) Name() string { return c.Chain }

// Whole is what there is to say of an object, with nothing summed up: below its Attrs, the rules of
// a chain, each on a line of its own, and the content of a conflist.
func Whole(r Resource) string {
	switch r := r.(type) {
	case Chain:
		return strings.TrimSuffix(r.Attrs()+"\n"+r.Rules, "\n")
	case Conflist:
		return r.Attrs() + "\n" + r.Content
	}
	return r.Attrs()
}

// Attrs sums the chain up; Whole does not.
func (c Chain) Attrs() string {
	rules := 0
	if c.Rules != "" {
		rules = strings.Count(c.Rules, "\n") + 1
	}
	if c.NFT() {
		return fmt.Sprintf("%s, %d rules, type %s", c.Table, rules, c.Hook)
	}
	jump := "jump from " + c.Hook
	switch {
	case c.Jumps == 0:
		jump = "no jump from " + c.Hook
	case c.Jumps > 1:
		jump = fmt.Sprintf("%d jumps from %s", c.Jumps, c.Hook)
	}
	if c.Others != "" {
		jump += fmt.Sprintf(", and %d others", strings.Count(c.Others, "\n")+1)
	}
	return fmt.Sprintf("ipv%d %s, %d rules, %s", c.Family, c.Table, rules, jump)
}
