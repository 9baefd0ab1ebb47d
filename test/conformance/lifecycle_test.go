package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/podnet/podnet/test/cnihost"
)

// lifecycleCases are about what stays behind, and what is left alone.
func lifecycleCases() []testCase {
	return []testCase{
		{"DEL takes back all that ADD made, and can be repeated", "", repeatedDel},
		{"DEL with an empty CNI_NETNS", "", delEmptyNetns},
		{"DEL with a namespace that has vanished", "", delVanished},
		{"DEL of a container that is unknown, or whose bridge is gone", "", delUnknown},
		{"DEL with and without a previous result", "", delPrevious},
		{"DEL leaves other containers and a foreign link of the pod alone", "", delLeavesOthers},
		{"ADD on an ifname that a foreign link has is refused, and leaves it", "", foreignIfname},
		{"ADD in the host's own namespace is refused, and changes nothing", "", hostNamespace},
		{"ADD in a namespace that has vanished is refused, and changes nothing", "", addVanished},
		{"lo: ADD and DEL in the host's own namespace leave its lo as it is", "", loopbackHost},
		{"ADD whose IPAM fails leaves nothing", "", ipamFails},
		{"ADD that fails after IPAM leaves nothing, in the pod neither", "", failsAfterIPAM},
		{"ADD that is repeated, as after a kill, succeeds with the same addresses", "", repeatedAdd},
		{"a foreign link in the bridge's place is refused and left", "", foreignBridge},
		{"another gateway address on the bridge is refused, or replaced with forceAddress", "", forceAddress},
	}
}

// first is an ADD that makes the bridge, so that what follows finds everything there.
func (h *host) first(conf object) { h.MustAdd(h.Pod(), conf) }

func repeatedDel(h *host) error {
	conf := h.gateway(h.ranges(subnet4, subnet6))
	h.first(conf)
	return h.unchanged("ADD and DEL", func() error {
		p := h.Pod()
		h.MustAdd(p, conf)
		for i := range 3 {
			if err := h.Del(p, conf); err != nil {
				return fmt.Errorf("DEL %d: %w", i+1, err)
			}
		}
		if links := h.MustIn(p.Namespace, "ip -o link"); strings.Contains(links, "eth0") {
			return errors.New(links)
		}
		return nil
	})
}

func delEmptyNetns(h *host) error {
	conf := h.gateway(h.ranges(subnet4, subnet6))
	h.first(conf)
	return h.unchanged("ADD and DEL", func() error {
		p := h.Pod()
		h.MustAdd(p, conf)
		_, err := h.Execute("bridge", conf.Text(), "COMMAND=DEL", "CONTAINERID="+p.ID, "NETNS=", "IFNAME=eth0", "PATH="+h.Plugins)
		return err
	})
}

func delVanished(h *host) error {
	conf := h.gateway(h.ranges(subnet4, subnet6))
	h.first(conf)
	return h.unchanged("ADD and DEL", func() error {
		p := h.Pod()
		h.MustAdd(p, conf)
		h.Vanish(p)
		return h.gone(1, h.Del(p, conf))
	})
}

// gone waits for the kernel, which takes a namespace's links away some time after the namespace has
// ended; a DEL that does not wait for it is as good. others is how many pods stay.
func (h *host) gone(others int, err error) error {
	if err != nil {
		return err
	}
	return h.eventually(func() error {
		if ports := h.Objects(h.Namespace, "ip -j link show master br0"); len(ports) > others {
			return fmt.Errorf("%d ports", len(ports))
		}
		return nil
	})
}

func delUnknown(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	if err := h.Del(h.Pod(), conf); err != nil {
		return wrap("on a fresh host", err)
	}
	p := h.Pod()
	h.MustAdd(p, conf)
	if err := h.Del(h.Pod(), conf); err != nil {
		return err
	}
	h.Must("ip link del br0")
	if err := h.Del(p, conf); err != nil {
		return wrap("without a bridge", err)
	}
	return same("traces", fmt.Sprint(h.Leases("net")), "[]")
}

func delPrevious(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	h.first(conf)
	return h.unchanged("ADD and DEL", func() error {
		p := h.Pod()
		r := h.MustAdd(p, conf)
		return h.Del(p, conf.With(object{"prevResult": json.RawMessage(r.Raw)}))
	})
}

func delLeavesOthers(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	other := h.Pod()
	h.MustAdd(other, conf)
	p := h.Pod()
	h.MustIn(p.Namespace, "ip link add eth0 type veth peer name eth0-peer")
	before := h.Traces()
	if err := h.Del(p, conf); err != nil {
		return err
	}
	if err := other.Ping("10.1.0.1"); err != nil {
		return wrap("the other container", err)
	}
	return cnihost.SameTraces("DEL", h.Traces(), before)
}

func foreignIfname(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	h.first(conf)
	p := h.Pod()
	h.MustIn(p.Namespace, "ip link add eth0 address 02:00:00:00:00:77 type veth peer name eth0-peer")
	return h.unchanged("the refused ADD", func() error {
		_, err := h.Add(p, conf)
		if err := refused("ADD", err, nil, "eth0"); err != nil {
			return err
		}
		return same("the foreign link", mac(h.Objects(p.Namespace, "ip -j link"), "eth0"), "02:00:00:00:00:77")
	})
}

func hostNamespace(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	h.first(conf)
	p := &pod{Namespace: h.Namespace, ID: "host-network", IfName: "eth0"}
	return h.unchanged("the refused ADD", func() error {
		_, err := h.Add(p, conf)
		return refused("ADD", err, nil)
	})
}

func addVanished(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	h.first(conf)
	p := h.Pod()
	h.Vanish(p)
	return h.unchanged("the refused ADD", func() error {
		_, err := h.Add(p, conf)
		return refused("ADD", err, nil)
	})
}

func loopbackHost(h *host) error {
	p := &pod{Namespace: h.Namespace, ID: "host-network", IfName: "lo"}
	for _, verb := range []string{"ADD", "DEL"} {
		_, _ = h.Call(verb, p, h.loopback()) // what it answers is its own affair
		if link := h.Must("ip link show dev lo"); !strings.Contains(link, ",UP") {
			return fmt.Errorf("after %s: %s", verb, link)
		}
	}
	return nil
}

func ipamFails(h *host) error {
	conf := h.gateway(h.ranges("10.1.0.0/30"))
	h.first(conf)
	return h.refusesCleanly(conf)
}

func failsAfterIPAM(h *host) error {
	h.first(h.gateway(h.ranges(subnet4)))
	return h.refusesCleanly(h.gateway(h.ranges(subnet4).With(object{"routes": []any{object{"dst": "10.5.0.0/16", "gw": "10.9.0.1"}}})))
}

// refusesCleanly wants an ADD to be refused that leaves nothing, on the host or in the pod.
func (h *host) refusesCleanly(conf object) error {
	p := h.Pod()
	err := h.unchanged("the refused ADD", func() error {
		_, err := h.Add(p, conf)
		return refused("ADD", err, nil)
	})
	if links := h.MustIn(p.Namespace, "ip -o link"); err == nil && strings.Contains(links, "eth0") {
		return fmt.Errorf("left in the pod: %s", links)
	}
	return err
}

func repeatedAdd(h *host) error {
	p, conf := h.Pod(), h.gateway(h.ranges(subnet4, subnet6))
	first := h.MustAdd(p, conf)
	again, err := h.Add(p, conf)
	if err != nil {
		return err
	}
	return same("addresses", again.Addresses(), first.Addresses())
}

func foreignBridge(h *host) error {
	h.Must("ip link add br0 type veth peer name br0-peer")
	return h.unchanged("the refused ADD", func() error {
		_, err := h.Add(h.Pod(), h.gateway(h.ranges(subnet4)))
		return refused("ADD", err, nil, "br0")
	})
}

func forceAddress(h *host) error {
	h.first(h.gateway(h.ranges("10.9.0.0/24")).With(object{"name": "older"}))
	conf := h.gateway(h.ranges(subnet4))
	err := h.unchanged("the refused ADD", func() error {
		_, err := h.Add(h.Pod(), conf)
		return refused("ADD", err, nil)
	})
	if err != nil {
		return err
	}
	h.MustAdd(h.Pod(), conf.With(object{"forceAddress": true}))
	if addrs := h.Must("ip -4 -o addr show dev br0"); !strings.Contains(addrs, "10.1.0.1/24") || strings.Contains(addrs, "10.9.0.1") {
		return errors.New(addrs)
	}
	return nil
}
