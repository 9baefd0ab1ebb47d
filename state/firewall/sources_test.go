package firewall

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/lab"
)

// applySource applies one change of the tunnel's sources.
func applySource(t *testing.T, h *Host, c state.Change) {
	t.Helper()
	h.ApplySources([]*state.Change{&c})
	if c.Err != nil {
		t.Fatal(c.Err)
	}
}

func listSources(t *testing.T, h *Host) (all []netip.Addr) {
	t.Helper()
	live := &state.Live{}
	if err := h.ListSources(&state.Set{}, live); err != nil {
		t.Fatal(err)
	}
	for _, s := range live.TunnelSources.Rows() {
		all = append(all, s.Addr)
	}
	return all
}

// An address comes back while its time limit runs, after it has run out unnoticed, and beside others
// that somebody has deleted meanwhile.
func TestSourcesThatGoByThemselves(t *testing.T) {
	h := apart(t)
	a, b := netip.MustParseAddr("192.0.2.12"), netip.MustParseAddr("192.0.2.13")
	add := func(a netip.Addr) state.Change {
		return state.Change{Op: state.Create, Kind: state.KindTunnelSource, Want: state.TunnelSource{Addr: a}}
	}
	applySource(t, h, add(a))
	if got := listSources(t, h); !slices.Equal(got, []netip.Addr{a}) {
		t.Fatalf("%v", got)
	}
	lab.Sh(t, "nft add element inet podnet tunnel-peers { 192.0.2.13 timeout 300ms }")
	if got := listSources(t, h); !slices.Equal(got, []netip.Addr{a}) {
		t.Errorf("with a time limit: %v", got)
	}
	lab.Eventually(t, lab.Patience, "the address goes by itself", func() error {
		if strings.Contains(lab.Sh(t, "nft list set inet podnet tunnel-peers"), b.String()) {
			return errors.New("it is there")
		}
		return nil
	})
	applySource(t, h, add(b))
	lab.Sh(t, "nft add element inet podnet tunnel-peers { 192.0.2.14 timeout 10m }")
	c := netip.MustParseAddr("192.0.2.14")
	listSources(t, h)
	applySource(t, h, add(c))
	got := listSources(t, h)
	slices.SortFunc(got, netip.Addr.Compare)
	if !slices.Equal(got, []netip.Addr{a, b, c}) {
		t.Errorf("for good: %v", got)
	}
	lab.Sh(t, "nft delete element inet podnet tunnel-peers { 192.0.2.13 }")
	lab.Sh(t, "nft add chain inet podnet tunnel-senders")
	applySource(t, h, state.Change{Op: state.Delete, Kind: state.KindTunnelSource, Have: state.TunnelSource{Addr: b}, Left: true})
	if set := lab.Sh(t, "nft list set inet podnet tunnel-peers"); !strings.Contains(set, "192.0.2.13 timeout 10m") {
		t.Errorf("an address that has left: %s", set)
	}
}
