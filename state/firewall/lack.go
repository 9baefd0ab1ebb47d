package firewall

import (
	"fmt"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/module"
)

// lack is a part of nftables that this kernel has not got.
type lack struct {
	what, remedy string
	of           func(state.Chain) bool // the chains that cannot be had without it
}

// withoutChains reports in one conflict what a kernel with a lack cannot keep out, and counts it as
// having the chains that would.
func withoutChains(t Traffic, live *state.Live, l lack) {
	var first state.Chain
	var dangers []string
	for c, from := range t.Want.Chains.All() {
		if !l.of(c) {
			continue
		}
		live.Chains.Add(c, from)
		if d := danger(c.Chain, t); d != "" {
			if dangers = append(dangers, d); len(dangers) == 1 {
				first = c
			}
		}
	}
	if len(dangers) == 0 {
		return
	}
	live.Conflicts = append(live.Conflicts, state.Conflict{
		Key: first.Key(), Name: l.what, Remedy: l.remedy,
		Owner: "missing in this kernel, so that " + strings.Join(dangers, ", and "),
	})
}

// danger is what happens where a chain of podnet's that drops packets is not; "": nothing that the
// other chains of the same kind do not say.
func danger(chain string, t Traffic) string {
	switch chain {
	case state.FencePodsChain:
		return "pods reach what listens on 127.0.0.1 only, and send from addresses of others"
	case state.FencePortsChain:
		return "a pod can pass for the IPv6 router of others on its bridge"
	case state.SendersChain:
		return "a pod can send from addresses of others on its bridge"
	case state.TunnelChain:
		return fmt.Sprintf("the tunnel takes packets of anybody who can send to UDP port %d", t.Port)
	}
	return ""
}

// withoutNFTables reports what a kernel without nftables cannot keep out, and returns an error if
// podnet's masquerading is to be there.
func withoutNFTables(t Traffic, live *state.Live) error {
	withoutChains(t, live, lack{what: "nftables", remedy: "modprobe nf_tables", of: state.Chain.NFT})
	if _, _, wanted := t.Want.Chains.Find(state.Key{Kind: state.KindChain, Name: state.MasqueradeChain}); wanted {
		return module.Missing("nftables", "nf_tables")
	}
	return nil
}
