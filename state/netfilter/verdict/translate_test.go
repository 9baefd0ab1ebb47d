package verdict

import (
	"net/netip"
	"testing"
)

// kube is what kube-proxy writes for a service with two ends, and portmap for a host port.
const kube = `*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-1 - [0:0]
:KUBE-SEP-2 - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-DN-1 - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/kube-dns:dns" -m udp --dport 53 -j KUBE-SVC-A
-A KUBE-SVC-A -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-1
-A KUBE-SVC-A -j KUBE-SEP-2
-A KUBE-SEP-1 -p udp -m udp -j DNAT --to-destination 10.244.1.7:53
-A KUBE-SEP-2 -p udp -m udp -j DNAT --to-destination 10.244.0.9:53
-A CNI-HOSTPORT-DNAT -p tcp -m multiport --dports 8080 -j CNI-DN-1
-A CNI-DN-1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.244.0.2:80
COMMIT
`

func TestTranslate(t *testing.T) {
	rules := Parse(kube, "iptables")
	for _, c := range []struct {
		protocol string
		dst      string
		port     uint16
		host     bool
		want     string
	}{
		{"udp", "10.96.0.10", 53, false, "10.244.1.7:53"},
		{"tcp", "10.96.0.10", 53, false, ""},
		{"udp", "10.96.0.11", 53, false, ""},
		{"tcp", "192.0.2.11", 8080, true, "10.244.0.2:80"},
		{"tcp", "192.0.2.11", 8081, true, ""},
		{"tcp", "203.0.113.5", 8080, false, ""},
	} {
		p := Packet{Dst: netip.MustParseAddr(c.dst), In: "eth0", Protocol: c.protocol, Port: c.port, ToHost: c.host, ToOther: !c.host}
		got, found := rules.Translate(Prerouting, p)
		if found != (c.want != "") || found && got.To.String() != c.want {
			t.Errorf("%+v: %+v, %v", c, got, found)
		}
	}
}
