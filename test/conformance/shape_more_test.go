package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

func reachedAtOnce(h *host) error {
	p := h.Pod()
	r := h.MustAdd(p, h.gateway(h.ranges(subnet4, subnet6)))
	for _, ip := range r.IPs {
		addr, _, _ := strings.Cut(ip.Address, "/")
		if err := h.Ping(addr); err != nil {
			return fmt.Errorf("host to pod: %w", err)
		}
		if err := p.Ping(ip.Gateway); err != nil {
			return fmt.Errorf("pod to gateway: %w", err)
		}
	}
	return nil
}

func bridgeMACStays(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	h.MustAdd(h.Pod(), conf)
	before := mac(h.Objects(h.Namespace, "ip -j link"), "br0")
	h.Must("ip link add low address 00:00:00:00:00:02 type veth peer name low-peer")
	h.Must("ip link set low master br0 up")
	return same("MAC of the bridge", mac(h.Objects(h.Namespace, "ip -j link"), "br0"), before)
}

func requestedMAC(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	sources := []object{
		{},
		{"args": object{"cni": object{"mac": "02:00:00:00:00:02"}}},
		{"args": object{"cni": object{"mac": "02:00:00:00:00:02"}}, "runtimeConfig": object{"mac": "02:00:00:00:00:03"}},
	}
	for i, fields := range sources {
		p := h.Pod()
		p.Args = "MAC=02:00:00:00:00:01"
		r := h.MustAdd(p, conf.With(fields))
		want := fmt.Sprintf("02:00:00:00:00:0%d", i+1)
		have := mac(h.Objects(p.Namespace, "ip -j link"), "eth0")
		if err := errors.Join(same("in the pod", have, want), same("in the result", r.Interfaces[2].Mac, want)); err != nil {
			return err
		}
	}
	return nil
}

func dnsPrecedence(h *host) error {
	ipam := h.ranges(subnet4).With(object{"resolvConf": h.file("resolv.conf", "nameserver 192.0.2.53\n")})
	r := h.MustAdd(h.Pod(), h.gateway(ipam))
	if err := same("of IPAM", fmt.Sprint(r.DNS.Nameservers), "[192.0.2.53]"); err != nil {
		return err
	}
	r = h.MustAdd(h.Pod(), h.gateway(ipam).With(object{"dns": object{"nameservers": []string{"192.0.2.54"}}}))
	return same("of the configuration", fmt.Sprint(r.DNS.Nameservers), "[192.0.2.54]")
}

func layerTwo(h *host) error {
	p, conf := h.Pod(), h.bridged(nil)
	r := h.MustAdd(p, conf)
	if len(r.IPs) != 0 || len(r.Interfaces) != 3 {
		return fmt.Errorf("result %s", r.Raw)
	}
	if link := h.MustIn(p.Namespace, "ip link show dev eth0"); !strings.Contains(link, ",UP") {
		return errors.New(link)
	}
	return h.Del(p, conf)
}

func loopbackUp(h *host) error {
	p := h.Pod()
	p.IfName = "lo"
	r := h.MustAdd(p, h.loopback())
	if link := h.MustIn(p.Namespace, "ip link show dev lo"); !strings.Contains(link, ",UP") {
		return errors.New(link)
	}
	if err := same("addresses", r.Addresses(), "127.0.0.1/8 ::1/128"); err != nil {
		return err
	}
	if h.version >= "0.4.0" {
		if err := h.Check(p, h.loopback(), r); err != nil {
			return wrap("CHECK", err)
		}
	}
	return h.Del(p, h.loopback())
}

func loopbackPrevious(h *host) error {
	previous := h.MustAdd(h.Pod(), h.gateway(h.ranges(subnet4)))
	r := h.MustAdd(h.Pod(), h.loopback().With(object{"prevResult": json.RawMessage(previous.Raw)}))
	return same("addresses", r.Addresses(), previous.Addresses())
}
