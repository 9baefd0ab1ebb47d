package firewall

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// A kernel without nftables, or without its rules for bridges, is one condition that says what comes
// of it. Only podnet's masquerading cannot do without.
func TestLacks(t *testing.T) {
	chain := func(table, name string) state.Chain { return state.Chain{Table: table, Chain: name} }
	pods, ports := chain(state.OwnTable, state.FencePodsChain), chain(state.OwnBridgeTable, state.FencePortsChain)
	senders := chain(state.OwnBridgeTable, state.SendersChain)
	tunnel := chain(state.OwnTable, state.TunnelChain)
	all := []state.Chain{pods, ports, senders, tunnel, chain(state.OwnTable, state.TunnelPodsChain)}
	noBridges := ownTables{known: true, lacks: []netlink.Family{netfilter.Bridge}}
	for name, c := range map[string]struct {
		own     ownTables
		chains  []state.Chain
		want    string // the conflict
		have    int    // chains that count as there
		refuses string
	}{
		"nothing wanted": {want: ""},
		"no nftables": {chains: all, have: 5, want: "nftables (modprobe nf_tables): missing in this kernel, so that " +
			"pods reach what listens on 127.0.0.1 only, and send from addresses of others, and " +
			"a pod can pass for the IPv6 router of others on its bridge, and a pod can send from addresses of others on its bridge, and " +
			"the tunnel takes packets of anybody who can send to UDP port 8472"},
		"no nftables, and pods masquerade": {chains: append(all[:1:1], chain(state.OwnTable, state.MasqueradeChain)), have: 2,
			want: "nftables (modprobe nf_tables): missing in this kernel, so that " +
				"pods reach what listens on 127.0.0.1 only, and send from addresses of others",
			refuses: "this kernel has no nftables: modprobe nf_tables"},
		"no bridges": {own: noBridges, chains: all, have: 2,
			want: "nftables for bridges (modprobe nft_meta_bridge || modprobe nf_tables): missing in this kernel, so that " +
				"a pod can pass for the IPv6 router of others on its bridge, and a pod can send from addresses of others on its bridge"},
		"no bridges, none needed": {own: noBridges, chains: []state.Chain{pods}},
	} {
		t.Run(name, func(t *testing.T) {
			want, live := &state.Set{}, &state.Live{}
			for _, chain := range c.chains {
				want.Chains.Add(chain, state.OwnNode)
			}
			host := Host{own: c.own}
			err := host.listOwn(0, c.own.known, Traffic{Want: want, Port: 8472}, live)
			if (err != nil) != (c.refuses != "") || err != nil && !strings.Contains(err.Error(), c.refuses) {
				t.Errorf("error %v, want %q", err, c.refuses)
			}
			got := ""
			for _, conflict := range live.Conflicts {
				got += conflict.Object() + " (" + conflict.Remedy + "): " + conflict.Owner
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if n := live.Chains.Len(); n != c.have {
				t.Errorf("%d chains count as there, want %d", n, c.have)
			}
		})
	}
}
