package hostlocal_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
)

func TestHostLocalResult(t *testing.T) {
	h := newHost(t)
	resolv := t.TempDir() + "/resolv.conf"
	text := "# comment\n; another\nnameserver 192.0.2.3\nnameserver fd00::3\ndomain d\nsearch a b\noptions c\noptions e\nnameserver\n"
	if err := os.WriteFile(resolv, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ipam := ranges46 + `,"routes":[{"dst":"0.0.0.0/0"},{"dst":"fd00:2::/64","gw":"fd00:1::9","mtu":1400,"table":5}],"resolvConf":"` + resolv + `"`
	const dns = `"dns":{"domain":"d","nameservers":["192.0.2.3","fd00::3"],"options":["c","e"],"search":["a","b"]}`
	const byFamily = `"ip4":{"ip":"10.1.0.2/24","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0"}]},` +
		`"ip6":{"ip":"fd00:1::2/64","gateway":"fd00:1::1","routes":[{"dst":"fd00:2::/64","gw":"fd00:1::9"}]},` + dns + `}`
	for version, want := range map[string]string{
		"0.1.0": `{"cniVersion":"0.1.0",` + byFamily,
		"0.2.0": `{"cniVersion":"0.2.0",` + byFamily,
		"0.3.0": `{"cniVersion":"0.3.0","ips":[{"version":"4","address":"10.1.0.2/24","gateway":"10.1.0.1"},{"version":"6","address":"fd00:1::2/64","gateway":"fd00:1::1"}],` +
			`"routes":[{"dst":"0.0.0.0/0"},{"dst":"fd00:2::/64","gw":"fd00:1::9"}],` + dns + `}`,
		"0.3.1": `{"cniVersion":"0.3.1","ips":[{"version":"4","address":"10.1.0.2/24","gateway":"10.1.0.1"},{"version":"6","address":"fd00:1::2/64","gateway":"fd00:1::1"}],` +
			`"routes":[{"dst":"0.0.0.0/0"},{"dst":"fd00:2::/64","gw":"fd00:1::9"}],` + dns + `}`,
		"0.4.0": `{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.1.0.2/24","gateway":"10.1.0.1"},{"version":"6","address":"fd00:1::2/64","gateway":"fd00:1::1"}],` +
			`"routes":[{"dst":"0.0.0.0/0"},{"dst":"fd00:2::/64","gw":"fd00:1::9"}],` + dns + `}`,
		"1.0.0": `{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"address":"fd00:1::2/64","gateway":"fd00:1::1"}],` +
			`"routes":[{"dst":"0.0.0.0/0"},{"dst":"fd00:2::/64","gw":"fd00:1::9"}],` + dns + `}`,
		"1.1.0": `{"cniVersion":"1.1.0","ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"address":"fd00:1::2/64","gateway":"fd00:1::1"}],` +
			`"routes":[{"dst":"0.0.0.0/0"},{"dst":"fd00:2::/64","gw":"fd00:1::9","mtu":1400,"table":5}],` + dns + `}`,
	} {
		cnihost.SameJSON(t, version, h.Succeed(h.ipam("one", version, "", ipam).With("ADD")), want)
	}
}

// Every way in which an address can be asked for, and each must be used.
func TestHostLocalRequested(t *testing.T) {
	h := newHost(t)
	for i, c := range []struct{ fields, args, want string }{
		{"", "IP=10.1.0.20", "10.1.0.20/24 fd00:1::2/64"},
		{"", "IP=10.1.0.21/24;IgnoreUnknown=1;K8S_POD_NAME=x", "10.1.0.21/24 fd00:1::3/64"},
		{`"args":{"cni":{"ips":["10.1.0.22"]}}`, "", "10.1.0.22/24 fd00:1::4/64"},
		{`"runtimeConfig":{"ips":["fd00:1::99/64","10.1.0.23/24"]}`, "", "10.1.0.23/24 fd00:1::99/64"},
		{`"runtimeConfig":{"ips":["10.1.0.24"]},"args":{"cni":{"ips":["10.1.0.24"]}}`, "IP=10.1.0.24", "10.1.0.24/24 fd00:1::9a/64"},
		{"", "IP=10.1.0.20", "101 container c0 (eth0) has it"},
		{"", "IP=10.9.0.20", "101 in none of the ranges"},
		{"", "IP=10.1.0.1", "101 gateway"},
		{"", "IP=10.1.0.255", "101 in none of the ranges"},
		{"", "IP=mars", "7 mars"},
		{"", "MARS=1", "4 MARS"},
		{`"runtimeConfig":{"ips":["10.1.0.30","10.1.0.31"]}`, "", "101 10.1.0.31"},
		{`"runtimeConfig":{"ipRanges":[[{"subnet":"10.7.0.0/24"}]]}`, "", "10.7.0.2/24 10.1.0.2/24 fd00:1::5/64"},
	} {
		call := h.ipam(fmt.Sprintf("c%d", i), "1.0.0", c.fields, ranges46).With("ADD")
		call.Args = c.args
		out, err := h.Try(call)
		first, words, _ := strings.Cut(c.want, " ")
		if code, notCode := strconv.Atoi(first); notCode == nil {
			cnihost.WantFault(t, err, code, words)
			continue
		}
		var addrs []string
		for i, piece := range strings.Split(out, `"address": "`) {
			if addr, _, ok := strings.Cut(piece, `"`); ok && i > 0 {
				addrs = append(addrs, addr)
			}
		}
		if got := strings.Join(addrs, " "); err != nil || got != c.want {
			t.Errorf("%s %s: got %s %v, want %s", c.fields, c.args, got, err, c.want)
		}
	}
}

// The older form, and several range sets of one family.
func TestHostLocalRanges(t *testing.T) {
	h := newHost(t)
	old := `"subnet":"10.1.0.0/24","rangeStart":"10.1.0.100","rangeEnd":"10.1.0.101","gateway":"10.1.0.254"`
	for i, want := range []string{`"10.1.0.100/24"`, `"10.1.0.101/24"`} {
		got := h.Succeed(h.ipam(fmt.Sprint("c", i), "1.0.0", "", old).With("ADD"))
		if !strings.Contains(got, want) || !strings.Contains(got, `"10.1.0.254"`) {
			t.Errorf("want %s and the gateway in %s", want, got)
		}
	}
	h.Fail(h.ipam("c2", "1.0.0", "", old).With("ADD"), 100, "10.1.0.100-10.1.0.101")
	h.Succeed(h.ipam("c0", "1.0.0", "", old).With("CHECK"))
	h.Succeed(h.ipam("c0", "1.0.0", "", old).With("DEL"))
	h.Succeed(h.ipam("c0", "1.0.0", "", old).With("DEL"))
	h.Fail(h.ipam("c0", "1.0.0", "", old).With("CHECK"), 103, "c0")
	got := h.Succeed(h.ipam("c2", "1.0.0", "", old+`,"ranges":[[{"subnet":"10.2.0.0/30"},{"subnet":"10.3.0.0/24"}]]`).With("ADD"))
	if !strings.Contains(got, `"10.1.0.100/24"`) || !strings.Contains(got, `"10.2.0.2/30"`) {
		t.Errorf("want an address of both sets in %s", got)
	}
	h.Fail(cnihost.Call{Plugin: "host-local", Verb: "ADD", ID: "x", Netns: "/x", Conf: `{"cniVersion":"1.0.0","name":"net"}`}, 7, "'ipam'")
}
