package plugintest

import (
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types/create"
)

// The result of an ADD has the fields of the configuration's version and no others, and the CNI library reads it.
func TestResultVersions(t *testing.T) {
	const (
		interfaces = `"interfaces":[{"name":"br0","mac":"MAC"},{"name":"VETH","mac":"MAC"},{"name":"eth0","mac":"MAC","sandbox":"NETNS"}]`
		routes     = `"routes":[{"dst":"10.5.0.0/16"},{"dst":"0.0.0.0/0","gw":"10.1.0.1"},{"dst":"::/0","gw":"fd00:1::1"}],"dns":{"domain":"example"}`
		ips04      = `"ips":[{"version":"4","interface":2,"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"version":"6","interface":2,"address":"fd00:1::2/64","gateway":"fd00:1::1"}]`
		ips1       = `"ips":[{"interface":2,"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"interface":2,"address":"fd00:1::2/64","gateway":"fd00:1::1"}]`
	)
	withMTU := strings.ReplaceAll(interfaces, `"mac":"MAC"`, `"mac":"MAC","mtu":1400`)
	for version, want := range map[string]string{
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
			result := h.must(on(p, conf).with("ADD"))
			sameJSON(t, "result", strings.ReplaceAll(normal(result), p.Path, "NETNS"), `{"cniVersion":"`+version+`",`+want+"}")
			if _, err := create.Create(version, []byte(result)); err != nil {
				t.Errorf("the library: %v", err)
			}
			err := h.check(on(p, conf), result)
			if version == "0.3.1" {
				wantFault(t, err, 1, "since 0.4.0")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// An error is JSON on standard output with the configuration's version, and exit code 1.
func TestErrorShape(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	for conf, want := range map[string]string{
		`{"cniVersion":"0.4.0","name":"net","type":"bridge","vlan":5000}`: `{"cniVersion":"0.4.0","code":7,"msg":"vlan 5000 is not between 0 and 4094"}`,
		`{"cniVersion":"9.0.0","name":"net","type":"bridge"}`: `{"cniVersion":"9.0.0","code":1,"msg":"incompatible CNI versions",
			"details":"the configuration's cniVersion is \"9.0.0\", the plugin knows 0.3.1, 0.4.0, 1.0.0, 1.1.0"}`,
		`{"cniVersion":"1.0.0","name":"a/b","type":"bridge"}`: `{"cniVersion":"1.0.0","code":7,"msg":"the network configuration's name \"a/b\" is missing or has invalid characters"}`,
		`no`: `{"cniVersion":"1.1.0","code":6,"msg":"the network configuration is not JSON as the specification wants it: invalid character 'o' in literal null (expecting 'u')"}`,
	} {
		out, err := h.run(on(p, conf).with("ADD"))
		if err == nil {
			t.Errorf("%s succeeds", conf)
		}
		sameJSON(t, conf, out, want)
	}
}
