package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

func reachedAtOnce(h *host) error {
	p := h.pod()
	r := h.mustAdd(p, h.gateway(h.ranges(subnet4, subnet6)))
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
	h.mustAdd(h.pod(), conf)
	before := mac(h.objects(h.Namespace, "ip -j link"), "br0")
	h.sh("ip link add low address 00:00:00:00:00:02 type veth peer name low-peer")
	h.sh("ip link set low master br0 up")
	return same("MAC of the bridge", mac(h.objects(h.Namespace, "ip -j link"), "br0"), before)
}

func requestedMAC(h *host) error {
	conf := h.gateway(h.ranges(subnet4))
	sources := []object{
		{},
		{"args": object{"cni": object{"mac": "02:00:00:00:00:02"}}},
		{"args": object{"cni": object{"mac": "02:00:00:00:00:02"}}, "runtimeConfig": object{"mac": "02:00:00:00:00:03"}},
	}
	for i, fields := range sources {
		p := h.pod()
		p.args = "MAC=02:00:00:00:00:01"
		r := h.mustAdd(p, conf.with(fields))
		want := fmt.Sprintf("02:00:00:00:00:0%d", i+1)
		have := mac(h.objects(p.Namespace, "ip -j link"), "eth0")
		if err := errors.Join(same("in the pod", have, want), same("in the result", r.Interfaces[2].Mac, want)); err != nil {
			return err
		}
	}
	return nil
}

func dnsPrecedence(h *host) error {
	ipam := h.ranges(subnet4).with(object{"resolvConf": h.file("resolv.conf", "nameserver 192.0.2.53\n")})
	r := h.mustAdd(h.pod(), h.gateway(ipam))
	if err := same("of IPAM", fmt.Sprint(r.DNS.Nameservers), "[192.0.2.53]"); err != nil {
		return err
	}
	r = h.mustAdd(h.pod(), h.gateway(ipam).with(object{"dns": object{"nameservers": []string{"192.0.2.54"}}}))
	return same("of the configuration", fmt.Sprint(r.DNS.Nameservers), "[192.0.2.54]")
}

func layerTwo(h *host) error {
	p, conf := h.pod(), h.bridged(nil)
	r := h.mustAdd(p, conf)
	if len(r.IPs) != 0 || len(r.Interfaces) != 3 {
		return fmt.Errorf("result %s", r.raw)
	}
	if link := h.in(p.Namespace, "ip link show dev eth0"); !strings.Contains(link, ",UP") {
		return errors.New(link)
	}
	return h.del(p, conf)
}

func loopbackUp(h *host) error {
	p := h.pod()
	p.ifname = "lo"
	r := h.mustAdd(p, h.loopback())
	if link := h.in(p.Namespace, "ip link show dev lo"); !strings.Contains(link, ",UP") {
		return errors.New(link)
	}
	if err := same("addresses", r.addresses(), "127.0.0.1/8 ::1/128"); err != nil {
		return err
	}
	if h.version >= "0.4.0" {
		if err := h.check(p, h.loopback(), r); err != nil {
			return wrap("CHECK", err)
		}
	}
	return h.del(p, h.loopback())
}

func loopbackPrevious(h *host) error {
	previous := h.mustAdd(h.pod(), h.gateway(h.ranges(subnet4)))
	r := h.mustAdd(h.pod(), h.loopback().with(object{"prevResult": json.RawMessage(previous.raw)}))
	return same("addresses", r.addresses(), previous.addresses())
}
