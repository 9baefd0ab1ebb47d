package verdict

import (
	"slices"
	"testing"

	"github.com/google/nftables/expr"
)

// Sets that a packet's address is looked up in can be large, and are of no use.
func TestLooksInto(t *testing.T) {
	port := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
	source := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}
	mask := &expr.Bitwise{SourceRegister: 1, DestRegister: 2, Len: 4}
	for name, c := range map[string]struct {
		rule []expr.Any
		want []string
	}{
		"a link":               {[]expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Lookup{SourceRegister: 1, SetName: "s"}}, []string{"s"}},
		"a state under a mask": {[]expr.Any{&expr.Ct{Key: expr.CtKeySTATE, Register: 1}, mask, &expr.Lookup{SourceRegister: 2, SetName: "s"}}, []string{"s"}},
		"a port":               {[]expr.Any{port, &expr.Lookup{SourceRegister: 1, SetName: "s"}}, []string{"s"}},
		"an address":           {[]expr.Any{source, &expr.Lookup{SourceRegister: 1, SetName: "s"}}, nil},
		"an address's network": {[]expr.Any{source, mask, &expr.Lookup{SourceRegister: 2, SetName: "s"}}, nil},
		"a port, then an address": {[]expr.Any{port, &expr.Lookup{SourceRegister: 1, SetName: "ports"}, source,
			&expr.Lookup{SourceRegister: 1, SetName: "s"}}, []string{"ports"}},
	} {
		if got := LooksInto(c.rule); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
