package conformance

import (
	"errors"
	"fmt"
)

// poolCases are about the verbs that look at a whole network.
func poolCases() []testCase {
	return []testCase{
		{"STATUS fails, as an ADD does, where no lease can be kept or resolvConf is missing", "1.1.0", statusWithoutStore},
		{"GC and STATUS are refused before 1.1", "", poolTooOld},
		{"STATUS passes on a fresh node, whose bridge an ADD would make", "1.1.0", statusFresh},
		{"STATUS fails with 50 or 51 when the pool is exhausted, and passes after a DEL", "1.1.0", statusExhausted},
		{"STATUS fails when a foreign link has the bridge's name", "1.1.0", statusForeign},
		{"STATUS and ADD fail on a bridge that is full, and say so", "1.1.0", bridgeFull},
		{"GC without the list of attachments, or with null, takes nothing away", "1.1.0", gcAbsent},
		{"GC with an empty list takes everything away", "1.1.0", gcEmpty},
		{"GC keeps what is valid and takes the rest away, and can be repeated", "1.1.0", gcSome},
		{"GC tells the interfaces of a container apart", "1.1.0", gcInterfaces},
		{"GC of one network leaves another on the same bridge alone", "1.1.0", gcNetworks},
	}
}

func poolTooOld(h *host) error {
	if h.version == "1.1.0" {
		return nil
	}
	conf := h.gateway(h.ranges(subnet4))
	return errors.Join(
		refused("STATUS", h.CallNode("STATUS", conf), []int{1}),
		refused("GC", h.GC(conf), []int{1}),
	)
}

func statusFresh(h *host) error {
	return h.unchanged("STATUS", func() error {
		for _, conf := range []object{h.gateway(h.ranges(subnet4, subnet6)), h.bridged(nil), h.local(h.ranges(subnet4)), h.loopback()} {
			if err := h.CallNode("STATUS", conf); err != nil {
				return fmt.Errorf("%v: %w", conf["type"], err)
			}
		}
		return nil
	})
}

func statusExhausted(h *host) error {
	conf := h.gateway(h.ranges("10.1.0.0/30", subnet6))
	p := h.Pod()
	h.MustAdd(p, conf)
	err := errors.Join(
		refused("STATUS of bridge", h.CallNode("STATUS", conf), []int{50, 51}),
		refused("STATUS of host-local", h.CallNode("STATUS", h.local(conf["ipam"].(object))), []int{50, 51}),
	)
	if err != nil {
		return err
	}
	h.MustDel(p, conf)
	return wrap("after the DEL", h.CallNode("STATUS", conf))
}

func statusForeign(h *host) error {
	h.Must("ip link add br0 type veth peer name br0-peer")
	return refused("STATUS", h.CallNode("STATUS", h.gateway(h.ranges(subnet4))), nil, "br0")
}

// bridgePorts is how many ports the kernel's bridge has at most.
const bridgePorts = 1023

func bridgeFull(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	h.first(conf)
	var lines []string
	for i := range bridgePorts - 1 { // the first pod has one
		lines = append(lines,
			fmt.Sprintf("link add full%d type vxlan id %d dstport 4789", i, i+1),
			fmt.Sprintf("link set full%d master br0", i))
	}
	if err := h.Batch("ip", lines...); err != nil {
		return err
	}
	if err := refused("STATUS", h.CallNode("STATUS", conf), []int{50, 51}, "br0"); err != nil {
		return err
	}
	return h.unchanged("the refused ADD", func() error {
		_, err := h.Add(h.Pod(), conf)
		return refused("ADD", err, nil)
	})
}

func gcAbsent(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	h.first(conf)
	return h.unchanged("GC", func() error {
		_ = h.CallNode("GC", conf) // it may be an error; what matters is what it does
		_ = h.CallNode("GC", conf.With(object{"cni.dev/valid-attachments": nil}))
		return nil
	})
}

func gcEmpty(h *host) error {
	conf := h.gateway(h.ranges(subnet4, subnet6))
	p := h.Pod()
	h.MustAdd(p, conf)
	h.MustDel(p, conf)
	return h.unchanged("ADD and GC", func() error {
		h.MustAdd(p, conf)
		h.MustAdd(h.Pod(), conf)
		return h.GC(conf)
	})
}

func gcSome(h *host) error {
	conf := h.gateway(h.ranges(subnet4, subnet6))
	valid := h.Pod()
	h.MustAdd(valid, conf)
	err := h.unchanged("ADD and GC", func() error {
		gone := h.Pod()
		h.MustAdd(gone, conf)
		h.MustAdd(h.Pod(), conf)
		h.Vanish(gone)
		for range 2 {
			if err := h.GC(conf, valid); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, wrap("the valid pod", valid.Ping("10.1.0.1")))
}

func gcInterfaces(h *host) error {
	conf := h.local(h.ranges(subnet4))
	p := h.Pod()
	second := &pod{Namespace: p.Namespace, ID: p.ID, IfName: "eth1"}
	h.MustAdd(p, conf)
	h.MustAdd(second, conf)
	if err := h.GC(conf, second); err != nil {
		return err
	}
	return same("leases", fmt.Sprint(h.Leases("net")), "[10.1.0.3]")
}

func gcNetworks(h *host) error {
	other := h.gateway(h.ranges(subnet4)).With(object{"name": "other"})
	p := h.Pod()
	h.MustAdd(p, other)
	err := h.unchanged("GC", func() error {
		return h.GC(h.gateway(h.ranges(subnet4)))
	})
	return errors.Join(err, wrap("the other network's pod", p.Ping("10.1.0.1")))
}

func statusWithoutStore(h *host) error {
	ipam := h.ranges(subnet4)
	for what, bad := range map[string]object{
		"a dataDir that is a file": {"dataDir": h.file("no-directory", "")}, "a resolvConf that is missing": {"resolvConf": h.Dir + "/absent"},
	} {
		for _, conf := range []object{h.gateway(ipam.With(bad)), h.local(ipam.With(bad))} {
			_, err := h.Add(h.Pod(), conf)
			err = errors.Join(refused("ADD with "+what, err, nil), refused("STATUS with "+what, h.CallNode("STATUS", conf), []int{50, 51}))
			if err != nil {
				return err
			}
		}
	}
	return h.CallNode("STATUS", h.gateway(ipam.With(object{"dataDir": h.Dir + "/not/there/yet"})))
}
