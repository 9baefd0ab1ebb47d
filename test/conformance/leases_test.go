package conformance

import (
	"fmt"
	"os"
	"path/filepath"
)

func resolvConf(h *host) error {
	path := h.file("resolv.conf", `# nameserver 192.0.2.9
; nameserver 192.0.2.8
domain example.org
search a.example.org	b.example.org
nameserver 192.0.2.53
nameserver 2001:db8::53
options ndots:2 edns0
sortlist 192.0.2.0
`)
	r := h.MustAdd(h.Pod(), h.local(h.ranges(subnet4).With(object{"resolvConf": path})))
	return same("dns", fmt.Sprint(r.DNS), "{[192.0.2.53 2001:db8::53] [a.example.org b.example.org] [ndots:2 edns0] example.org}")
}

func leaseFile(h *host) error {
	p := h.Pod()
	h.MustAdd(p, h.local(h.ranges(subnet4, subnet6)))
	for _, name := range []string{"10.1.0.2", "fd00:1::2"} {
		content, err := os.ReadFile(filepath.Join(h.Dir, "net", name))
		if err != nil {
			return err
		}
		if err := same(name, string(content), p.ID+"\r\neth0"); err != nil {
			return err
		}
	}
	return nil
}

func emptyLease(h *host) error {
	conf := h.local(h.ranges("10.1.0.0/30"))
	h.file("net/10.1.0.2", "")
	_, err := h.Add(h.Pod(), conf)
	return err
}

func sameAgain(h *host) error {
	p, conf := h.Pod(), h.local(h.ranges(subnet4, subnet6))
	first := h.MustAdd(p, conf)
	again, err := h.Add(p, conf)
	if err != nil {
		return err
	}
	return same("the second ADD", again.Addresses(), first.Addresses())
}

func twoInterfaces(h *host) error {
	conf := h.local(h.ranges(subnet4))
	p := h.Pod()
	q := &pod{Namespace: p.Namespace, ID: p.ID, IfName: "eth1"}
	h.MustAdd(p, conf)
	if err := same("the second interface", h.MustAdd(q, conf).Addresses(), "10.1.0.3/24"); err != nil {
		return err
	}
	h.MustDel(p, conf)
	return same("leases after the DEL of the first", fmt.Sprint(h.Leases("net")), "[10.1.0.3]")
}

func leaseCheck(h *host) error {
	p, conf := h.Pod(), h.local(h.ranges(subnet4))
	r := h.MustAdd(p, conf)
	if err := h.Check(p, conf, r); err != nil {
		return err
	}
	h.MustDel(p, conf)
	return refused("CHECK without a lease", h.Check(p, conf, r), nil)
}
