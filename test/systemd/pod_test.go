package systemd

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/test/lab"
)

// pod is a network namespace on a booted node, connected by the packaged plugin as a runtime there
// would.
type pod struct {
	b    *booted
	name string
	addr netip.Addr
}

func (b *booted) pod(name string) *pod {
	b.t.Helper()
	p := &pod{b: b, name: name}
	b.must("podnetctl", "install")
	b.must("ip", "netns", "add", name)
	text, err := b.ReadFile(lab.ConflistPath)
	must(b.t, err)
	var list struct {
		CNIVersion string           `json:"cniVersion"`
		Name       string           `json:"name"`
		Plugins    []map[string]any `json:"plugins"`
	}
	must(b.t, json.Unmarshal([]byte(text), &list))
	bridge := list.Plugins[0]
	bridge["cniVersion"], bridge["name"] = list.CNIVersion, list.Name
	config, err := json.Marshal(bridge)
	must(b.t, err)
	out, err := b.feed(string(config), "env", "CNI_COMMAND=ADD", "CNI_CONTAINERID="+name, "CNI_NETNS=/run/netns/"+name, "CNI_IFNAME=eth0",
		"CNI_PATH=/opt/cni/bin", "/opt/cni/bin/bridge")
	must(b.t, err)
	var result struct {
		IPs []struct{ Address netip.Prefix } `json:"ips"`
	}
	must(b.t, json.Unmarshal([]byte(out), &result))
	p.addr = result.IPs[0].Address.Addr()
	return p
}

// ping sends n requests, 20 a second, and fails if one is lost.
func (p *pod) ping(to string, n int) error {
	out, err := p.b.do("ip", "netns", "exec", p.name, "ping", "-n", "-q", "-i", "0.05", "-W", "2", "-c", fmt.Sprint(n), to)
	if err == nil && !strings.Contains(out, " 0% packet loss") {
		err = fmt.Errorf("packets were lost:\n%s", out)
	}
	return err
}
