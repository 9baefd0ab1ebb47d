package state_test

import (
	"net/netip"
	"testing"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
)

func TestPeerMetric(t *testing.T) {
	for prefix, want := range map[string]uint32{"10.244.1.0/24": 838, "10.244.2.0/24": 6757, "fd00:10:244:1::/64": 1024} {
		if got := state.PeerMetric(netip.MustParsePrefix(prefix)); got != want {
			t.Errorf("PeerMetric(%s) = %d, want %d", prefix, got, want)
		}
	}
}

func TestLinkLocal(t *testing.T) {
	if got := device.LinkLocal(schema.DeriveVTEPMAC("lab", "node-a")).String(); got != "fe80::5441:60ff:fe6e:6ebf" {
		t.Errorf("LinkLocal = %s", got)
	}
}
