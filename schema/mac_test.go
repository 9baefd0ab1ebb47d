package schema

import "testing"

func TestDeriveVTEPMAC(t *testing.T) {
	if got, want := DeriveVTEPMAC("lab", "node-a").String(), "56:41:60:6e:6e:bf"; got != want {
		t.Errorf("DeriveVTEPMAC(lab, node-a) = %s, want %s", got, want)
	}
	if a, b := DeriveBridgeMAC("lab", "node-a"), DeriveVTEPMAC("lab", "node-a"); a == b {
		t.Errorf("bridge and VTEP of one node share %s", a)
	}
}
