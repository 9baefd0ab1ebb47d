package hostlocal

import (
	"errors"
	"testing"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// FuzzConfig reads any configuration and CNI_ARGS: ranges that give addresses of their subnets, or
// an error with a code.
func FuzzConfig(f *testing.F) {
	for _, conf := range []string{
		`{"ipam":{"type":"host-local","ranges":[[{"subnet":"10.1.0.0/24","gateway":"10.1.0.254"}],[{"subnet":"fd00::/64"}]]}}`,
		`{"ipam":{"subnet":"10.1.0.0/29","rangeStart":"10.1.0.3","rangeEnd":"10.1.0.2"}}`,
		`{"ipam":{"ranges":[[]]},"runtimeConfig":{"ips":["10.1.0.9/24"],"ipRanges":[[{"subnet":"::ffff:10.0.0.0/104"}]]}}`,
		`{"ipam":{"ranges":[[{"subnet":"10.0.0.0/31"}]]},"args":{"cni":{"ips":["::1%lo"]}}}`,
		`{"ipam":{"ranges":[[{"subnet":"255.255.255.252/30"}]],"routes":[{"dst":"0.0.0.0/0"}]}}`,
		`{"ipam":null}`, `{}`, `{"ipam":[]}`,
	} {
		f.Add(conf, "IP=10.1.0.9")
	}
	f.Fuzz(func(t *testing.T, conf, args string) {
		c, err := Read(&protocol.Request{
			Config: protocol.ReadObject("the network configuration", []byte(conf)),
			Args:   args, Network: "net", ContainerID: "id", IfName: "eth0",
		})
		if err != nil {
			coded(t, err)
			return
		}
		values, err := protocol.ParseArgs(args, "IP")
		coded(t, err)
		_, err = c.requested(values)
		coded(t, err)
		sets, err := c.Sets()
		coded(t, err)
		for _, set := range sets {
			for _, r := range set {
				if !r.Contains(r.First) || !r.Contains(r.Last) || !r.Subnet.Contains(r.First) {
					t.Errorf("range %v of %v does not lie in itself", r, r.Subnet)
				}
			}
		}
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

// FuzzResolvConf reads any resolv.conf.
func FuzzResolvConf(f *testing.F) {
	f.Add("nameserver 192.0.2.53\nsearch a b\ndomain c\noptions ndots:2 edns0\n")
	f.Add("# nameserver 1\n;x\n\n nameserver\t::1 \r\nsearch\n")
	f.Fuzz(func(t *testing.T, text string) {
		dns := parseResolvConf(text)
		for _, word := range append(append(dns.Nameservers, dns.Search...), dns.Options...) {
			if word == "" {
				t.Errorf("an empty word: %+v", dns)
			}
		}
	})
}
