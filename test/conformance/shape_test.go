package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// shapeCases are about what an ADD answers.
func shapeCases() []testCase {
	return []testCase{
		{"VERSION names all versions of the specification, and the one it was asked in", "", versionVerb},
		{"ADD answers in the version of the configuration, with ips[].version before 1.0 only", "", ipsByVersion},
		{"ADD answers with fields of 1.1 in 1.1 only", "", fieldsByVersion},
		{"ADD lists bridge, host end, pod end, and gives the addresses to the third", "", interfaceOrder},
		{"ADD names the MACs and the sandbox that are real", "", realMACs},
		{"the pod has the addresses, the MTU and the routes of the result", "", podAsTold},
		{"gateway and default route of each family", "", gatewayByFamily},
		{"routes of the configuration, through a gateway or not", "", configuredRoutes},
		{"isDefaultGateway beside a default route without a gateway", "", defaultRouteTwice},
		{"three ranges, an address of each", "", threeRanges},
		{"a dual-stack pod is reached as soon as ADD returns", "", reachedAtOnce},
		{"the bridge keeps its MAC when a port with a lower one joins", "", bridgeMACStays},
		{"the MAC asked for: runtimeConfig before args.cni before CNI_ARGS", "", requestedMAC},
		{"dns of the configuration goes before that of IPAM", "", dnsPrecedence},
		{"layer 2 only: no addresses, the pod's end up", "", layerTwo},
		{"lo: set up by ADD, answered with its addresses", "", loopbackUp},
		{"lo: a previous result is handed on", "", loopbackPrevious},
	}
}

func versionVerb(h *host) error {
	for _, plugin := range []string{"bridge", "host-local", "loopback", "portmap"} {
		out, err := h.Execute(plugin, `{"cniVersion":"`+h.version+`"}`, "COMMAND=VERSION")
		if err != nil {
			return wrap(plugin, err)
		}
		for _, v := range versions {
			if !strings.Contains(out, `"`+v+`"`) {
				return fmt.Errorf("%s does not name %s: %s", plugin, v, out)
			}
		}
		var answer struct{ CNIVersion string }
		if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.CNIVersion != h.version {
			return fmt.Errorf("%s was asked in %s and answers %s", plugin, h.version, out)
		}
	}
	return nil
}

func ipsByVersion(h *host) error {
	for _, conf := range []object{h.gateway(h.ranges(subnet4)), h.local(h.ranges(subnet4)), h.loopback()} {
		r := h.MustAdd(h.Pod(), conf)
		if err := same("cniVersion", r.CNIVersion, h.version); err != nil {
			return err
		}
		want := h.version < "1.0.0"
		if got := r.Has("ips", "version"); got != want {
			return fmt.Errorf("%v: ips[].version is there: %t, want %t: %s", conf["type"], got, want, r.Raw)
		}
		if want && r.IPs[0].Version != "4" {
			return fmt.Errorf("ips[].version is %q", r.IPs[0].Version)
		}
	}
	return nil
}

func fieldsByVersion(h *host) error {
	routes := []any{object{"dst": "10.5.0.0/16", "mtu": 1300}}
	conf := h.gateway(h.ranges(subnet4).With(object{"routes": routes})).With(object{"mtu": 1400})
	r := h.MustAdd(h.Pod(), conf)
	if h.version >= "1.1.0" {
		if !r.Has("routes", "mtu") {
			return fmt.Errorf("routes[].mtu of the configuration is lost: %s", r.Raw)
		}
		return nil // the other fields are optional
	}
	for _, list := range []string{"interfaces", "routes"} {
		for _, field := range []string{"mtu", "socketPath", "pciID", "advmss", "priority", "table", "scope"} {
			if r.Has(list, field) {
				return fmt.Errorf("%s[].%s is there: %s", list, field, r.Raw)
			}
		}
	}
	return nil
}

func interfaceOrder(h *host) error {
	p := h.Pod()
	r := h.MustAdd(p, h.gateway(h.ranges(subnet4, subnet6)))
	if len(r.Interfaces) != 3 || r.Interfaces[0].Name != "br0" || r.Interfaces[2].Name != "eth0" {
		return fmt.Errorf("interfaces %+v", r.Interfaces)
	}
	if port := h.Objects(h.Namespace, "ip -j link show master br0"); len(port) != 1 || port[0]["ifname"] != r.Interfaces[1].Name {
		return fmt.Errorf("the bridge's ports are %v, the result says %s", port, r.Interfaces[1].Name)
	}
	for _, ip := range r.IPs {
		if ip.Interface == nil || *ip.Interface != 2 {
			return fmt.Errorf("%s does not belong to interface 2: %s", ip.Address, r.Raw)
		}
	}
	return nil
}

func realMACs(h *host) error {
	p := h.Pod()
	r := h.MustAdd(p, h.gateway(h.ranges(subnet4)))
	outside, inside := h.Objects(h.Namespace, "ip -j link"), h.Objects(p.Namespace, "ip -j link")
	for i, in := range r.Interfaces {
		links, sandbox := outside, ""
		if i == 2 {
			links, sandbox = inside, p.Path
		}
		err := errors.Join(same("MAC of "+in.Name, in.Mac, mac(links, in.Name)), same("sandbox of "+in.Name, in.Sandbox, sandbox))
		if err != nil {
			return err
		}
	}
	return nil
}

func podAsTold(h *host) error {
	p := h.Pod()
	r := h.MustAdd(p, h.gateway(h.ranges(subnet4, subnet6)).With(object{"mtu": 1400}))
	addrs := h.MustIn(p.Namespace, "ip -o addr show dev eth0")
	for _, ip := range r.IPs {
		if !strings.Contains(addrs, " "+ip.Address+" ") {
			return fmt.Errorf("the pod has no %s: %s", ip.Address, addrs)
		}
	}
	if strings.Contains(addrs, "tentative") && !strings.Contains(addrs, "fe80") {
		return fmt.Errorf("an address is tentative: %s", addrs)
	}
	link := h.MustIn(p.Namespace, "ip link show dev eth0")
	if !strings.Contains(link, "mtu 1400") || !strings.Contains(link, ",UP") {
		return errors.New(link)
	}
	routes := h.MustIn(p.Namespace, "ip route") + h.MustIn(p.Namespace, "ip -6 route")
	for _, route := range r.Routes {
		if strings.HasSuffix(route.Dst, "/0") && !strings.Contains(routes, "default via "+route.GW+" dev eth0") {
			return fmt.Errorf("no default route via %s: %s", route.GW, routes)
		}
	}
	return nil
}

func gatewayByFamily(h *host) error {
	for i, subnets := range [][]string{{"10.1.0.0/24"}, {"fd00:1::/64"}, {"10.2.0.0/24", "fd00:2::/64"}} {
		name := fmt.Sprintf("net%d", i)
		r := h.MustAdd(h.Pod(), h.gateway(h.ranges(subnets...)).With(object{"name": name, "bridge": "br" + name}))
		want := map[string]string{
			"net0": "0.0.0.0/0 10.1.0.1", "net1": "::/0 fd00:1::1", "net2": "0.0.0.0/0 10.2.0.1, ::/0 fd00:2::1",
		}[name]
		if err := same("routes", r.RouteTexts(), want); err != nil {
			return err
		}
		addrs := h.Must("ip -o addr show dev br" + name)
		for _, ip := range r.IPs {
			bits := ip.Address[strings.Index(ip.Address, "/"):]
			if !strings.Contains(addrs, " "+ip.Gateway+bits+" ") {
				return fmt.Errorf("the bridge lacks the gateway %s: %s", ip.Gateway+bits, addrs)
			}
		}
	}
	return nil
}

func configuredRoutes(h *host) error {
	p := h.Pod()
	routes := []any{object{"dst": "10.5.0.0/16"}, object{"dst": "10.6.0.0/16", "gw": "10.1.0.77"}, object{"dst": "fd00:5::/64"}}
	r := h.MustAdd(p, h.bridged(h.ranges(subnet4, subnet6).With(object{"routes": routes})).With(object{"isGateway": true}))
	if err := same("routes", r.RouteTexts(), "10.5.0.0/16, 10.6.0.0/16 10.1.0.77, fd00:5::/64"); err != nil {
		return err
	}
	have := h.MustIn(p.Namespace, "ip route") + h.MustIn(p.Namespace, "ip -6 route")
	for _, want := range []string{"10.5.0.0/16 via 10.1.0.1 dev eth0", "10.6.0.0/16 via 10.1.0.77 dev eth0", "fd00:5::/64 via fd00:1::1 dev eth0"} {
		if !strings.Contains(have, want) {
			return fmt.Errorf("the pod has no route %s: %s", want, have)
		}
	}
	return nil
}

func defaultRouteTwice(h *host) error {
	p := h.Pod()
	routes := []any{object{"dst": "0.0.0.0/0"}}
	r, err := h.Add(p, h.gateway(h.ranges(subnet4).With(object{"routes": routes})))
	if err != nil {
		return err
	}
	if err := same("routes", r.RouteTexts(), "0.0.0.0/0 10.1.0.1"); err != nil {
		return err
	}
	if n := strings.Count(h.MustIn(p.Namespace, "ip route"), "default via 10.1.0.1"); n != 1 {
		return fmt.Errorf("%d default routes", n)
	}
	return nil
}

func threeRanges(h *host) error {
	p := h.Pod()
	r := h.MustAdd(p, h.gateway(h.ranges("10.1.0.0/24", "10.2.0.0/24", "fd00:1::/64")))
	if err := same("addresses", r.Addresses(), "10.1.0.2/24 10.2.0.2/24 fd00:1::2/64"); err != nil {
		return err
	}
	addrs := h.MustIn(p.Namespace, "ip -o addr show dev eth0")
	for _, ip := range r.IPs {
		if !strings.Contains(addrs, " "+ip.Address+" ") {
			return fmt.Errorf("the pod has no %s: %s", ip.Address, addrs)
		}
	}
	return nil
}
