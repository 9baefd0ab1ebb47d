package bridge_test

import (
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types/create"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// The result of an ADD has the fields of the configuration's version and no others, and the CNI
// library reads it.
func TestResultVersions(t *testing.T) {
	const (
		interfaces = `"interfaces":[{"name":"br0","mac":"MAC"},{"name":"VETH","mac":"MAC"},{"name":"eth0","mac":"MAC","sandbox":"NETNS"}]`
		routes     = `"routes":[{"dst":"10.5.0.0/16"},{"dst":"0.0.0.0/0","gw":"10.1.0.1"},{"dst":"::/0","gw":"fd00:1::1"}],"dns":{"domain":"example"}`
		ips04      = `"ips":[{"version":"4","interface":2,"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"version":"6","interface":2,"address":"fd00:1::2/64","gateway":"fd00:1::1"}]`
		ips1       = `"ips":[{"interface":2,"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"interface":2,"address":"fd00:1::2/64","gateway":"fd00:1::1"}]`
	)
	withMTU := strings.ReplaceAll(interfaces, `"mac":"MAC"`, `"mac":"MAC","mtu":1400`)
	const byFamily = `"ip4":{"ip":"10.1.0.2/24","gateway":"10.1.0.1","routes":[{"dst":"10.5.0.0/16"},{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]},` +
		`"ip6":{"ip":"fd00:1::2/64","gateway":"fd00:1::1","routes":[{"dst":"::/0","gw":"fd00:1::1"}]},"dns":{"domain":"example"}`
	for version, want := range map[string]string{
		"0.1.0": byFamily,
		"0.2.0": byFamily,
		"0.3.0": interfaces + "," + ips04 + "," + routes,
		"0.3.1": interfaces + "," + ips04 + "," + routes,
		"0.4.0": interfaces + "," + ips04 + "," + routes,
		"1.0.0": interfaces + "," + ips1 + "," + routes,
		"1.1.0": withMTU + "," + ips1 + "," + routes,
	} {
		t.Run(version, func(t *testing.T) {
			h := newHost(t)
			p := h.NewPod("a")
			conf := h.conf(`"isDefaultGateway":true,"mtu":1400,"dns":{"domain":"example"}`, ranges46+`,"routes":[{"dst":"10.5.0.0/16"}]`)
			conf = strings.Replace(conf, "1.0.0", version, 1)
			result := h.Succeed(on(p, conf).With("ADD"))
			cnihost.SameJSON(t, "result", strings.ReplaceAll(normal(result), p.Path, "NETNS"), `{"cniVersion":"`+version+`",`+want+"}")
			if _, err := create.Create(version, []byte(result)); err != nil {
				t.Errorf("the library: %v", err)
			}
			err := h.check(on(p, conf), result)
			if version < "0.4.0" {
				cnihost.WantFault(t, err, 1, "since 0.4.0")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// A configuration without a version is one of 0.1.0. Layer 2 has no address to tell there, which is
// no error.
func TestUnversioned(t *testing.T) {
	h := newHost(t)
	a, b := h.NewPod("a"), h.NewPod("b")
	none := func(conf string) string { return strings.Replace(conf, `"cniVersion":"1.0.0",`, "", 1) }
	got := h.Succeed(on(a, none(h.conf(`"isGateway":true`, ranges46))).With("ADD"))
	cnihost.SameJSON(t, "result", got, `{"cniVersion":"0.1.0","ip4":{"ip":"10.1.0.2/24","gateway":"10.1.0.1"},"ip6":{"ip":"fd00:1::2/64","gateway":"fd00:1::1"},"dns":{}}`)
	if _, err := create.CreateFromBytes([]byte(got)); err != nil {
		t.Errorf("the library: %v", err)
	}
	cnihost.SameJSON(t, "layer 2", h.Succeed(on(b, none(h.conf("", ""))).With("ADD")), `{"cniVersion":"0.1.0","dns":{}}`)
	h.Succeed(on(b, none(h.conf("", ""))).With("DEL"))

	lo := cnihost.Call{Plugin: "loopback", ID: "x", Netns: a.Path, IfName: "lo", Conf: `{"name":"lo","type":"loopback"}`}
	cnihost.SameJSON(t, "loopback", h.Succeed(lo.With("ADD")), `{"cniVersion":"0.1.0","ip4":{"ip":"127.0.0.1/8"},"ip6":{"ip":"::1/128"},"dns":{}}`)
	lo.Conf = `{"cniVersion":"0.2.0","name":"lo","type":"loopback","prevResult":` + got + `}`
	cnihost.SameJSON(t, "handed on", h.Succeed(lo.With("ADD")), strings.Replace(got, "0.1.0", "0.2.0", 1))
	lo.Conf = `{"cniVersion":"0.3.0","name":"lo","type":"loopback"}`
	cnihost.SameJSON(t, "loopback", h.Succeed(lo.With("ADD")), `{"cniVersion":"0.3.0","interfaces":[{"name":"lo","mac":"00:00:00:00:00:00","sandbox":"`+a.Path+`"}],
		"ips":[{"version":"4","interface":0,"address":"127.0.0.1/8"},{"version":"6","interface":0,"address":"::1/128"}],"dns":{}}`)
	h.Fail(on(a, none(h.conf("", ranges46))).With("CHECK"), 1, "0.1.0 does not allow CHECK")
	h.Fail(cnihost.Call{Plugin: "bridge", Verb: "STATUS", Conf: none(h.conf("", ranges46))}, 1, "0.1.0 does not allow STATUS")
}

// DEL ends a pod whatever version the configuration says, the reference plugin's pods included.
func TestDelInAnyVersion(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := h.conf(`"isGateway":true`, ranges46)
	for _, path := range []string{lab.Program("cni"), cnihost.Reference(t)} {
		for _, version := range []string{"", "0.1.0", "0.2.0", "0.3.0", "0.9.9", "1.0.1", "2.0.0", "latest"} {
			add := on(p, conf)
			if path != lab.Program("cni") && version != "" && version < "0.4.0" {
				add.Conf = strings.Replace(conf, "1.0.0", version, 1)
			}
			add.Path = path
			h.Succeed(add.With("ADD"))
			del := on(p, strings.Replace(conf, "1.0.0", version, 1))
			del.Conf = strings.TrimSuffix(del.Conf, "}") + `,"prevResult":{"cniVersion":"` + version + `"}}`
			h.Succeed(del.With("DEL"))
			cnihost.Same(t, "leases after a DEL in "+version, h.LeaseFiles(), "")
			cnihost.Same(t, "ports after a DEL in "+version, h.Sh("ip -o link show master br0"), "")
		}
	}
	for _, plugin := range []string{"host-local", "loopback"} {
		c := cnihost.Call{Plugin: plugin, ID: "x", Netns: p.Path, Conf: strings.Replace(conf, "1.0.0", "7.0.0", 1)}
		h.Succeed(c.With("DEL"))
		h.Fail(c.With("ADD"), 1, "0.1.0, 0.2.0, 0.3.0", "write one of these")
	}
}

// An error is JSON on standard output with the configuration's version, and exit code 1.
func TestErrorShape(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	for conf, want := range map[string]string{
		`{"cniVersion":"0.4.0","name":"net","type":"bridge","vlan":5000}`: `{"cniVersion":"0.4.0","code":7,"msg":"vlan 5000 is not between 0 and 4094"}`,
		`{"cniVersion":"9.0.0","name":"net","type":"bridge"}`: `{"cniVersion":"9.0.0","code":1,"msg":"incompatible CNI versions",
			"details":"the configuration's cniVersion is \"9.0.0\", the plugin knows 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0: write one of these"}`,
		`{"cniVersion":"1.0.0","name":"a/b","type":"bridge"}`: `{"cniVersion":"1.0.0","code":7,"msg":"the network configuration's name \"a/b\" is missing or has invalid characters"}`,
		`no`: `{"cniVersion":"1.1.0","code":6,"msg":"the network configuration is not JSON as the specification wants it: invalid character 'o' in literal null (expecting 'u')"}`,
	} {
		out, err := h.Try(on(p, conf).With("ADD"))
		if err == nil {
			t.Errorf("%s succeeds", conf)
		}
		cnihost.SameJSON(t, conf, out, want)
	}
}
