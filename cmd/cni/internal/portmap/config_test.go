package portmap

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netfilter"
)

const prevBoth = `"prevResult":{"interfaces":[{"name":"br0"},{"name":"eth0","sandbox":"/ns"}],"ips":[{"interface":0,"address":"10.9.9.9/24"},` +
	`{"interface":1,"address":"10.1.0.2/24"},{"interface":1,"address":"fd00:1::2/64"},{"interface":1,"address":"10.1.0.3/24"}]}`

func request(fields string) *protocol.Request {
	return &protocol.Request{Verb: "ADD", ContainerID: "id", IfName: "eth0", Network: "net", Version: "1.0.0",
		Config: protocol.ReadObject("the network configuration", []byte(`{"cniVersion":"1.0.0","name":"net","type":"portmap",`+fields+`}`))}
}

func ports(entries string) string { return `"runtimeConfig":{"portMappings":[` + entries + `]},` }

// describe is what an ADD would put in force, or why it would not.
func describe(req *protocol.Request) string {
	c, err := decode(req)
	if err != nil {
		return err.Error()
	}
	a, _, err := c.attachment(req)
	if err != nil {
		return err.Error()
	}
	var list []string
	for _, f := range a.forwards {
		list = append(list, fmt.Sprintf("%s %v", f.mapping, f.sources))
	}
	return strings.Join(list, "; ")
}

func TestConfig(t *testing.T) {
	const v4, v6 = "[10.1.0.0/24 127.0.0.0/8]", "[fd00:1::/64]"
	for _, c := range []struct{ fields, want string }{
		{prevBoth, ""},
		{ports(`{"hostPort":8080,"containerPort":80,"protocol":"tcp"}`) + prevBoth, "tcp 0.0.0.0:8080 10.1.0.2:80 " + v4 + "; tcp [::]:8080 [fd00:1::2]:80 " + v6},
		{ports(`{"hostPort":8080,"containerPort":80,"protocol":"UDP","hostIP":"0.0.0.0"}`) + prevBoth, "udp 0.0.0.0:8080 10.1.0.2:80 " + v4},
		{ports(`{"hostPort":8080,"containerPort":80,"hostIP":"::"}`) + prevBoth, "tcp [::]:8080 [fd00:1::2]:80 " + v6},
		{ports(`{"hostPort":8080,"containerPort":80,"hostIP":"::ffff:192.0.2.1"}`) + prevBoth, "tcp 192.0.2.1:8080 10.1.0.2:80 " + v4},
		{ports(`{"hostPort":8080,"containerPort":80,"hostIP":"192.0.2.1"}`) + `"snat":false,` + prevBoth, "tcp 192.0.2.1:8080 10.1.0.2:80 []"},
		{ports(`{"hostPort":8080,"containerPort":80}`) + `"masqAll":true,"prevResult":{"ips":[{"address":"fd00:1::2/64"}]}`, "tcp [::]:8080 [fd00:1::2]:80 [::/0]"},
		{ports(`{"hostPort":8080,"containerPort":80}`) + `"prevResult":{}`,
			"portMappings: host port 8080/tcp cannot lead to the pod: prevResult has no address of its interface; portmap goes behind the plugin that gives it one"},
		{`"prevResult":{}`, ""},
		// A mapping that cannot work is refused, unless another one serves the port.
		{ports(`{"hostPort":8080,"containerPort":80,"hostIP":"::"}`) + `"prevResult":{"ips":[{"address":"10.1.0.2/24"}]}`,
			"portMappings: host port 8080/tcp cannot lead to the pod: hostIP :: is IPv6, and the pod has no IPv6 address"},
		{ports(`{"hostPort":8080,"containerPort":80,"hostIP":"::"},{"hostPort":8080,"containerPort":80,"hostIP":"0.0.0.0"}`) + `"prevResult":{"ips":[{"address":"10.1.0.2/24"}]}`,
			"tcp 0.0.0.0:8080 10.1.0.2:80 " + v4},
		{ports(`{"hostPort":8080,"containerPort":80,"hostIP":"::1"}`) + prevBoth,
			"portMappings: host port 8080/tcp cannot lead to the pod: hostIP ::1: the kernel routes no packets from the IPv6 loopback address; use 127.0.0.1, or another address of the host"},
		{ports(`{"hostPort":8080,"containerPort":80,"hostIP":"127.0.0.1"}`) + `"snat":false,` + prevBoth,
			"portMappings: host port 8080/tcp cannot lead to the pod: hostIP 127.0.0.1: the pod cannot answer a loopback address; leave out snat: false, or use another address of the host"},
		// What is said twice counts once, and the wider of two.
		{ports(`{"hostPort":80,"containerPort":80,"hostIP":"192.0.2.1"},{"hostPort":80,"containerPort":80,"hostIP":"0.0.0.0"},{"hostPort":80,"containerPort":80,"hostIP":"192.0.2.2"}`) + prevBoth,
			"tcp 0.0.0.0:80 10.1.0.2:80 " + v4},
		{ports(`{"hostPort":80,"containerPort":80,"hostIP":"192.0.2.1"},{"hostPort":80,"containerPort":81,"hostIP":"192.0.2.1"}`) + prevBoth,
			"portMappings: host port 80/tcp is to lead to 10.1.0.2:80 and to 10.1.0.2:81: leave one out"},
		{ports(`{"hostPort":0,"containerPort":80}`) + prevBoth, "portMappings: hostPort 0 is not between 1 and 65535"},
		{ports(`{"hostPort":1,"containerPort":65536}`) + prevBoth, "portMappings: containerPort 65536 is not between 1 and 65535"},
		{ports(`{"hostPort":1,"containerPort":1,"protocol":"icmp"}`) + prevBoth, `portMappings: protocol "icmp" is none of tcp, udp, sctp`},
		{ports(`{"hostPort":1,"containerPort":1,"hostIP":"fe80::1%eth0"}`) + prevBoth, `portMappings: hostIP "fe80::1%eth0" is no IP address`},
		{`"backend":"ipfw",` + prevBoth, `backend "ipfw" is neither iptables nor nftables`},
		{`"markMasqBit":13,"externalSetMarkChain":"X",` + prevBoth, "markMasqBit and externalSetMarkChain exclude each other: set one of them"},
		{`"markMasqBit":-1,` + prevBoth, "markMasqBit -1 is not between 0 and 31"},
		{`"externalSetMarkChain":"-j ACCEPT",` + prevBoth, `externalSetMarkChain "-j ACCEPT" is no name of a chain`},
		{`"conditionsV4":["a\nadd table x"],` + prevBoth, `condition "a\nadd table x": conditions are part of one rule, without comments`},
		{`"snat":"yes"`, `the network configuration: snat is "yes", not true or false`},
		{`"snat":true`, "prevResult is missing: portmap goes behind the plugin that gives the pod its addresses, in the same list"},
	} {
		if got := describe(request(c.fields)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.fields, got, c.want)
		}
	}
}

func TestBackendChoice(t *testing.T) {
	for fields, want := range map[string]string{
		`"backend":"nftables"`:                                        "nftables <nil>",
		`"backend":""`:                                                " <nil>",
		`"externalSetMarkChain":"X"`:                                  "iptables <nil>",
		`"conditionsV6":["-i","eth0"]`:                                "iptables <nil>",
		`"conditionsV4":["",""],"conditionsV6":["iifname eth0"]`:      "nftables <nil>",
		`"backend":"nftables","conditionsV4":["!","-s","10.0.0.1"]`:   " conditionsV4 is written for iptables, and the backend is nftables: make them the same",
		`"conditionsV4":["-i","eth0"],"conditionsV6":["ip6 saddr x"]`: " conditionsV6 is written for nftables, and the backend is iptables: make them the same",
		`"backend":"nftables","externalSetMarkChain":"X"`:             " externalSetMarkChain is a chain of iptables, and the backend is nftables: leave it out",
	} {
		c, err := decode(request(fields))
		if err != nil {
			t.Fatal(err)
		}
		if name, err := c.backend(); fmt.Sprint(name, " ", err) != want {
			t.Errorf("%s: got %s %v, want %s", fields, name, err, want)
		}
	}
}

func TestOwner(t *testing.T) {
	long := owner{strings.Repeat("n", 200), strings.Repeat("c", 200), "fifteen-letters"}
	if len(long.String()) > 127 {
		t.Errorf("%d characters do not fit into a comment", len(long.String()))
	}
	for _, o := range []owner{long, {"net", "id", "eth0"}} {
		if got, ok := parseOwner(o.String()); !ok || got != o.short() || !o.names(got) || got.complete() != (o != long) {
			t.Errorf("%v is read as %v", o, got)
		}
		r := netfilter.Rule{Comment: commentOf(o), Tag: tagOf(o)}
		if got := ownerOfRule(r); got.short() != o.short() || len(r.Comment) > 127 {
			t.Errorf("%v is read as %v", o, got)
		}
	}
	if (owner{"net", strings.Repeat("c", 200), "eth0"}).names(owner{"net", strings.Repeat("c", 199) + "d", "eth0"}) {
		t.Error("two containers have one name")
	}
	for text, want := range map[string]string{
		`dnat name: "net" id: "c"`:               "net/c/ true",
		"tcp [::]:80 [fd00::1]:80 net/c/eth0":    "net/c/eth0 true",
		"tcp 0.0.0.0:80 net/c/eth0":              "// false",
		`dnat name: "` + strings.Repeat("n", 99): "// false",
		"":                                       "// false",
	} {
		o, ok := parseEntry(text)
		if !ok {
			o, _, ok = parseMarker(text)
		}
		if ok != strings.HasSuffix(want, "true") || ok && fmt.Sprint(o, " ", ok) != want {
			t.Errorf("%s: got %v %t, want %s", text, o, ok, want)
		}
	}
}

// Whatever a runtime or an administrator writes is refused with a reason, or means mappings that do
// not overlap, whose rules say what they are and are one line each.
func FuzzRules(f *testing.F) {
	for _, fields := range []string{
		prevBoth,
		ports(`{"hostPort":8080,"containerPort":80,"protocol":"tcp"},{"hostPort":8080,"containerPort":80,"protocol":"udp","hostIP":"127.0.0.1"}`) + prevBoth,
		ports(`{"hostPort":1,"containerPort":2,"protocol":"sctp","hostIP":"2001:db8::1"}`) + `"backend":"nftables","masqAll":true,"markMasqBit":31,"conditionsV4":["ip saddr 10.0.0.0/8"],` + prevBoth,
		ports(`{"hostPort":-1,"containerPort":1e9,"hostIP":"x"}`) + `"externalSetMarkChain":"KUBE-MARK-MASQ","conditionsV6":["-s","::1","\"\\"],"snat":null,` + prevBoth,
		`"prevResult":{"interfaces":[null],"ips":[null,{"interface":-1,"address":"10.0.0.1/0"},{"interface":0,"address":"::ffff:10.0.0.1/96"}]}`,
		`"prevResult":[],"runtimeConfig":null`,
	} {
		f.Add(fields)
	}
	f.Fuzz(func(t *testing.T, fields string) {
		req := request(fields)
		c, err := decode(req)
		if err != nil {
			return
		}
		a, _, err := c.attachment(req)
		if err != nil {
			return
		}
		for i, x := range a.forwards {
			for _, y := range a.forwards[:i] {
				if x.overlaps(y.mapping) {
					t.Errorf("%s and %s overlap", x.mapping, y.mapping)
				}
			}
			if o, m, ok := parseMarker(markerComment(a.owner, x.mapping)); !ok || o != a.owner.short() || m != x.mapping {
				t.Errorf("%s is read as %s of %s", x.mapping, m, o)
			}
		}
		for _, line := range slices.Concat(podLines(a, false, "C"), podLines(a, true, "C"), entryLines(a, false, "C"), entryLines(a, true, "C")) {
			if strings.ContainsAny(line, "\n\r") {
				t.Errorf("more than one line: %q", line)
			}
		}
		for _, ipv6 := range families {
			forwards := a.family(ipv6)
			if lines := strings.Count(conditional(a, forwards, a.conditions[ipv6]), "\n"); lines != 0 && lines != len(forwards) {
				t.Errorf("%d lines for %d mappings", lines, len(forwards))
			}
		}
	})
}

// Each mapping costs the same, however many there are: a file of thousands must not hold a runtime
// up until it gives up.
func TestManyMappings(t *testing.T) {
	cost := func(n int) uint64 {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`{"hostPort":%d,"containerPort":80,"protocol":"udp"}`, 10000+i))
		}
		req := request(ports(strings.Join(list, ",")) + `"prevResult":{"ips":[{"address":"10.1.0.2/24"},{"address":"fd00:1::2/64"}]}`)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := decode(req)
		if err == nil {
			_, _, err = c.attachment(req)
		}
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := cost(1000), cost(8000); many > 16*few {
		t.Errorf("1000 mappings take %d bytes, 8000 take %d", few, many)
	}
}
