package conformance

import "strings"

// ranges is the configuration of host-local with one range set for each subnet.
func (h *host) ranges(subnets ...string) object {
	var sets []any
	for _, s := range subnets {
		sets = append(sets, []any{object{"subnet": s}})
	}
	return object{"type": "host-local", "dataDir": h.Dir, "ranges": sets}
}

// bridged is a network of the bridge plugin; without ipam it is layer 2 only.
func (h *host) bridged(ipam object) object {
	if ipam == nil {
		ipam = object{}
	}
	return object{"cniVersion": h.version, "name": "net", "type": "bridge", "bridge": "br0", "ipam": ipam}
}

// gateway is bridged with the bridge as the pods' default gateway.
func (h *host) gateway(ipam object) object {
	return h.bridged(ipam).With(object{"isDefaultGateway": true})
}

// local is a network of host-local alone, called as a plugin.
func (h *host) local(ipam object) object {
	return object{"cniVersion": h.version, "name": "net", "type": "host-local", "ipam": ipam}
}

// loopback is what runtimes configure for lo.
func (h *host) loopback() object {
	return object{"cniVersion": h.version, "name": "cni-loopback", "type": "loopback"}
}

const (
	subnet4 = "10.1.0.0/24"
	subnet6 = "fd00:1::/64"
)

// take has the IPAM plugin give an address to a new pod and returns what it gave, or the error as
// text.
func (h *host) take(conf object) string {
	r, err := h.Add(h.Pod(), conf)
	if err != nil {
		return err.Error()
	}
	return r.Addresses()
}

// mac is an interface's address as the kernel says it.
func mac(links []map[string]any, name string) string {
	for _, link := range links {
		if link["ifname"] == name {
			return strings.ToLower(link["address"].(string))
		}
	}
	return "none"
}
