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
	r := h.mustAdd(h.pod(), h.local(h.ranges(subnet4).with(object{"resolvConf": path})))
	return same("dns", fmt.Sprint(r.DNS), "{[192.0.2.53 2001:db8::53] [a.example.org b.example.org] [ndots:2 edns0] example.org}")
}

func leaseFile(h *host) error {
	p := h.pod()
	h.mustAdd(p, h.local(h.ranges(subnet4, subnet6)))
	for _, name := range []string{"10.1.0.2", "fd00:1::2"} {
		content, err := os.ReadFile(filepath.Join(h.dir, "net", name))
		if err != nil {
			return err
		}
		if err := same(name, string(content), p.id+"\r\neth0"); err != nil {
			return err
		}
	}
	return nil
}

func emptyLease(h *host) error {
	conf := h.local(h.ranges("10.1.0.0/30"))
	h.file("net/10.1.0.2", "")
	_, err := h.add(h.pod(), conf)
	return err
}

func sameAgain(h *host) error {
	p, conf := h.pod(), h.local(h.ranges(subnet4, subnet6))
	first := h.mustAdd(p, conf)
	again, err := h.add(p, conf)
	if err != nil {
		return err
	}
	return same("the second ADD", again.addresses(), first.addresses())
}

func twoInterfaces(h *host) error {
	conf := h.local(h.ranges(subnet4))
	p := h.pod()
	q := &pod{p.Namespace, p.id, "eth1", ""}
	h.mustAdd(p, conf)
	if err := same("the second interface", h.mustAdd(q, conf).addresses(), "10.1.0.3/24"); err != nil {
		return err
	}
	h.mustDel(p, conf)
	return same("leases after the DEL of the first", fmt.Sprint(h.leases("net")), "[10.1.0.3]")
}

func leaseCheck(h *host) error {
	p, conf := h.pod(), h.local(h.ranges(subnet4))
	r := h.mustAdd(p, conf)
	if err := h.check(p, conf, r); err != nil {
		return err
	}
	h.mustDel(p, conf)
	return refused("CHECK without a lease", h.check(p, conf, r), nil)
}
