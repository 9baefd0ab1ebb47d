package contract

import (
	"net/netip"
	"testing"
)

// The contract gives this one example in full.
func TestContractsExample(t *testing.T) {
	m := VTEPMAC("lab", "node-a")
	if want := "56:41:60:6e:6e:bf"; m != want {
		t.Errorf("VTEP MAC of lab/node-a is %s, want %s", m, want)
	}
	if got, want := LinkLocal(m), netip.MustParseAddr("fe80::5441:60ff:fe6e:6ebf"); got != want {
		t.Errorf("its link-local address is %v, want %v", got, want)
	}
}

// FNV-1a of "10.244.1.0/24", computed by hand from the offset basis and the prime.
func TestMetric(t *testing.T) {
	hash := uint32(2166136261)
	for _, c := range []byte("10.244.1.0/24") {
		hash = (hash ^ uint32(c)) * 16777619
	}
	if got, want := Metric(netip.MustParsePrefix("10.244.1.0/24")), 100+hash%16384; got != want {
		t.Errorf("metric %d, want %d", got, want)
	}
	if got := Metric(netip.MustParsePrefix("fd00:10:244:1::/64")); got != 1024 {
		t.Errorf("IPv6 metric %d, want 1024", got)
	}
}
