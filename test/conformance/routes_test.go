package conformance

import (
	"errors"
	"fmt"
	"strings"
)

// routeCases are about routes beside each other, and about those that cannot be.
func routeCases() []testCase {
	return []testCase{
		{"a second interface of a pod, of another network that is the default gateway too", "", secondDefault},
		{"routes to one destination over two gateways", "", twoGateways},
		{"a route of scope link goes over no gateway", "", scopeLink},
		{"routes that cannot be are refused, and leave nothing", "", badRoutes},
	}
}

func secondDefault(h *host) error {
	p, first := h.Pod(), h.gateway(h.ranges(subnet4, subnet6))
	second := h.gateway(h.ranges("10.2.0.0/24", "fd00:2::/64")).With(object{"name": "second", "bridge": "br1"})
	other := &pod{Namespace: p.Namespace, ID: p.ID, IfName: "eth1"}
	a := h.MustAdd(p, first)
	b, err := h.Add(other, second)
	if err != nil {
		return wrap("the second ADD", err)
	}
	routes := h.MustIn(p.Namespace, "ip route") + h.MustIn(p.Namespace, "ip -6 route")
	for _, want := range []string{"via 10.1.0.1 dev eth0", "via 10.2.0.1 dev eth1", "via fd00:1::1 dev eth0", "via fd00:2::1 dev eth1"} {
		if !strings.Contains(routes, want) {
			return fmt.Errorf("no route %s: %s", want, routes)
		}
	}
	if h.version >= "0.4.0" {
		if err := errors.Join(wrap("CHECK of the first", h.Check(p, first, a)), wrap("CHECK of the second", h.Check(other, second, b))); err != nil {
			return err
		}
		h.MustIn(p.Namespace, "ip -6 route del default via fd00:2::1 dev eth1")
		if err := refused("CHECK without one of two default routes", h.Check(other, second, b), nil); err != nil {
			return err
		}
	}
	h.MustDel(other, second)
	return p.Ping("10.1.0.1")
}

func twoGateways(h *host) error {
	routes := []any{
		object{"dst": "10.5.0.0/16", "gw": "10.1.0.8"}, object{"dst": "10.5.0.0/16", "gw": "10.1.0.9"},
		object{"dst": "fd00:5::/64", "gw": "fd00:1::8"}, object{"dst": "fd00:5::/64", "gw": "fd00:1::9"},
	}
	p, conf := h.Pod(), h.bridged(h.ranges(subnet4, subnet6).With(object{"routes": routes}))
	r, err := h.Add(p, conf)
	if err != nil || h.version < "0.4.0" {
		return err
	}
	return wrap("CHECK", h.Check(p, conf, r))
}

func scopeLink(h *host) error {
	if h.version < "1.1.0" {
		return nil
	}
	p := h.Pod()
	if _, err := h.Add(p, h.gateway(h.ranges(subnet4).With(object{"routes": []any{object{"dst": "10.5.0.0/16", "scope": 253}}}))); err != nil {
		return err
	}
	if routes := h.MustIn(p.Namespace, "ip route"); !strings.Contains(routes, "10.5.0.0/16 dev eth0 scope link") {
		return errors.New(routes)
	}
	return nil
}

func badRoutes(h *host) error {
	h.first(h.gateway(h.ranges(subnet4)))
	for _, route := range []any{
		nil, object{}, object{"dst": "10.5.0.0/16", "gw": "fd00:1::1"}, object{"dst": "10.5.0.0/16", "mtu": -1},
		object{"dst": "10.5.0.0/16", "scope": 300}, object{"dst": "10.5.0.0/16", "table": -1},
	} {
		conf := h.gateway(h.ranges(subnet4).With(object{"routes": []any{route}}))
		for _, c := range []object{conf, h.local(conf["ipam"].(object))} {
			err := h.unchanged(fmt.Sprint("the refused ADD with ", route), func() error {
				_, err := h.Add(h.Pod(), c)
				return refused(fmt.Sprint("ADD with the route ", route), err, []int{6, 7})
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
