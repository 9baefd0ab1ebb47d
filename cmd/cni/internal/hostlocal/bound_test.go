package hostlocal

import (
	"fmt"
	"testing"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// The bridge plugin's leases are bound to its process; those of the stand-alone plugin, which ends
// before there is a veth, are not.
func TestBound(t *testing.T) {
	conf := fmt.Sprintf(`{"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.1.0.0/24"}]]}}`, t.TempDir())
	req := protocol.Request{
		Config:  protocol.ReadObject("the network configuration", []byte(conf)),
		Network: "net", ContainerID: "within", IfName: "eth0",
	}
	c, err := Read(&req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Allocate([6]byte{}); err != nil {
		t.Fatal(err)
	}
	req.ContainerID = "alone"
	if _, err := add(&req); err != nil {
		t.Fatal(err)
	}
	leases, err := c.Leases()
	if err != nil || len(leases) != 2 {
		t.Fatal(leases, err)
	}
	for _, l := range leases {
		if !l.Ours || l.Bound != (l.Owner.ContainerID == "within") {
			t.Errorf("%+v", l)
		}
	}
}
