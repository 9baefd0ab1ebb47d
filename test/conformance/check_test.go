package conformance

import (
	"encoding/json"
	"errors"
	"strings"
)

// checkCases are about CHECK, and about what a plugin refuses to read.
func checkCases() []testCase {
	return []testCase{
		{"CHECK passes after ADD", "0.4.0", checkPasses},
		{"CHECK passes on layer 2 only", "0.4.0", checkLayerTwo},
		{"CHECK passes while tcpdump listens on the bridge", "0.4.0", checkPromiscuous},
		{"CHECK notices an address, a route, the interface or the bridge port that is gone", "0.4.0", checkNotices},
		{"CHECK notices that the port's hairpin, isolation or state, or the rules of ipMasq, are not as asked for", "0.4.0", checkPort},
		{"CHECK notices that the bridge lost the gateway address", "0.4.0", checkGateway},
		{"CHECK without a previous result, or with a garbled one, is an error object", "0.4.0", checkPrevious},
		{"CHECK is refused in 0.3.1", "", checkTooOld},
		{"unknown CNI_ARGS are refused, unless IgnoreUnknown says otherwise", "", unknownArgs},
		{"error objects carry the configuration's cniVersion", "", errorVersion},
		{"error objects carry a code that says what is wrong", "", errorCodes},
		{"names that the specification forbids are refused", "", badNames},
		{"a version that is not known is refused with code 1", "", badVersion},
	}
}

func checkPasses(h *host) error {
	p, conf := h.Pod(), h.gateway(h.ranges(subnet4, subnet6))
	return h.Check(p, conf, h.MustAdd(p, conf))
}

func checkLayerTwo(h *host) error {
	p, conf := h.Pod(), h.bridged(nil)
	return h.Check(p, conf, h.MustAdd(p, conf))
}

func checkPromiscuous(h *host) error {
	p, conf := h.Pod(), h.gateway(h.ranges(subnet4))
	r := h.MustAdd(p, conf)
	h.Must("ip link set br0 promisc on")
	return h.Check(p, conf, r)
}

func checkNotices(h *host) error {
	conf := h.gateway(h.ranges(subnet4, subnet6))
	for _, damage := range []string{
		"ip route del default", "ip -6 route del default", "ip route del 10.1.0.0/24", "ip -6 route del fd00:1::/64", "ip addr flush dev eth0 scope global", "ip link set eth0 down", "ip link del eth0",
	} {
		p := h.Pod()
		r := h.MustAdd(p, conf)
		h.MustIn(p.Namespace, damage)
		if err := refused("CHECK after "+damage, h.Check(p, conf, r), nil); err != nil {
			return err
		}
	}
	p := h.Pod()
	r := h.MustAdd(p, conf)
	h.Must("ip link set " + r.Interfaces[1].Name + " nomaster")
	return refused("CHECK without a port of the bridge", h.Check(p, conf, r), nil)
}

func checkPort(h *host) error {
	asked := object{"hairpinMode": true, "portIsolation": true, "ipMasq": true, "ipMasqBackend": "iptables"}
	conf := h.gateway(h.ranges(subnet4, subnet6)).With(asked)
	for _, damage := range []string{
		"bridge link set dev VETH hairpin off", "bridge link set dev VETH isolated off", "bridge link set dev VETH state 0",
		"iptables -t nat -F", "ip6tables -t nat -F POSTROUTING",
	} {
		p := h.Pod()
		r := h.MustAdd(p, conf)
		if err := h.Check(p, conf, r); err != nil {
			return err
		}
		h.Must(strings.ReplaceAll(damage, "VETH", r.Interfaces[1].Name))
		if err := refused("CHECK after "+damage, h.Check(p, conf, r), nil); err != nil {
			return err
		}
	}
	return nil
}

func checkGateway(h *host) error {
	p, conf := h.Pod(), h.gateway(h.ranges(subnet4))
	r := h.MustAdd(p, conf)
	h.Must("ip addr del 10.1.0.1/24 dev br0")
	return refused("CHECK", h.Check(p, conf, r), nil)
}

func checkPrevious(h *host) error {
	p, conf := h.Pod(), h.gateway(h.ranges(subnet4))
	h.MustAdd(p, conf)
	_, err := h.Call("CHECK", p, conf)
	err = refused("CHECK without a previous result", err, nil)
	for _, garbled := range []string{`[]`, `"x"`, `{"ips":[{"address":"nonsense"}]}`, `{"interfaces":7}`, `{"interfaces":[null],"ips":[null]}`} {
		_, e := h.Call("CHECK", p, conf.With(object{"prevResult": json.RawMessage(garbled)}))
		err = errors.Join(err, refused("CHECK with "+garbled, e, nil))
	}
	return err
}

func checkTooOld(h *host) error {
	if h.version != "0.3.1" {
		return nil
	}
	p, conf := h.Pod(), h.gateway(h.ranges(subnet4))
	return refused("CHECK", h.Check(p, conf, h.MustAdd(p, conf)), []int{1})
}

func unknownArgs(h *host) error {
	h.first(h.gateway(h.ranges(subnet4)))
	for _, conf := range []object{h.gateway(h.ranges(subnet4)), h.local(h.ranges(subnet4))} {
		p := h.Pod()
		p.Args = "K8S_POD_NAME=web;COLOUR=red"
		err := h.unchanged("the refused ADD", func() error {
			_, err := h.Add(p, conf)
			return refused("ADD", err, nil)
		})
		if err != nil {
			return err
		}
		p.Args = "IgnoreUnknown=1;K8S_POD_NAME=web;COLOUR=red"
		if _, err := h.Add(p, conf); err != nil {
			return wrap("IgnoreUnknown=1", err)
		}
		h.MustDel(p, conf)
	}
	return nil
}
