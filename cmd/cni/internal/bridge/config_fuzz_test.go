package bridge

import (
	"errors"
	"testing"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// FuzzConfig reads any configuration and CNI_ARGS: one that an ADD could use, or an error with a
// code.
func FuzzConfig(f *testing.F) {
	for _, conf := range []string{
		`{"bridge":"br0","isDefaultGateway":true,"mtu":1400,"ipam":{"type":"host-local"},"podnet":{"bridgeMAC":"02:00:00:00:00:01"}}`,
		`{"vlan":100,"vlanTrunk":[{"id":5},{"minID":7,"maxID":9}],"preserveDefaultVlan":true}`,
		`{"vlanTrunk":[{"id":-1}]}`, `{"vlan":4095}`, `{"vlanTrunk":[{"minID":9,"maxID":7}]}`, `{"vlanTrunk":{}}`,
		`{"hairpinMode":true,"promiscMode":true}`, `{"mtu":-1}`, `{"bridge":"sixteencharacter"}`, `{"ipMasq":true,"ipMasqBackend":"x"}`,
		`{"args":{"cni":{"mac":"x"}},"runtimeConfig":{"mac":""},"prevResult":[]}`, `[]`, `{"ipam":7}`,
	} {
		f.Add(conf, "MAC=02:00:00:00:00:02")
	}
	f.Fuzz(func(t *testing.T, conf, args string) {
		req := &protocol.Request{
			Config: protocol.ReadObject("the network configuration", []byte(conf)), Args: args, Version: "1.1.0",
		}
		c, err := decode(req)
		coded(t, err)
		if err != nil {
			return
		}
		coded(t, c.validate())
		mac, err := (&call{Request: req, config: c}).podMAC()
		coded(t, err)
		if err == nil && (len(mac) != 6 || mac[0]&1 == 1) {
			t.Errorf("MAC %v", mac)
		}
		_, err = c.bridgeMAC()
		coded(t, err)
		_, err = req.PrevResult()
		coded(t, err)
	})
}

// coded wants an error, if there is one, to be of those that a runtime can read.
func coded(t *testing.T, err error) {
	t.Helper()
	var e *protocol.Error
	if err != nil && (!errors.As(err, &e) || e.Code == 0 || e.Msg == "") {
		t.Errorf("an error without a code: %v", err)
	}
}
