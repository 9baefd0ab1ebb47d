package conformance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// addressCases are about host-local, which is called by itself.
func addressCases() []testCase {
	return []testCase{
		{"an address asked for in CNI_ARGS, args.cni.ips or runtimeConfig.ips", "", requestedIPs},
		{"an address asked for that is the gateway's, taken, or of no range is refused", "", requestedIPsRefused},
		{"round robin: a freed address is not the next, and after the last comes the first", "", roundRobin},
		{"network, gateway and broadcast are never handed out", "", neverHandedOut},
		{"an exhausted range says so, and a DEL helps", "", exhausted},
		{"rangeStart, rangeEnd and gateway", "", rangeLimits},
		{"ranges: the runtime's first, then the older top-level one, then ranges", "", rangeOrder},
		{"ranges that cannot be are refused", "", badRanges},
		{"resolv.conf is parsed", "", resolvConf},
		{"a lease file holds id and interface, as other tools read it", "", leaseFile},
		{"an empty lease file of a crash is free again", "", emptyLease},
		{"an ADD that is repeated has the same address", "", sameAgain},
		{"two interfaces of a container have an address each, freed one by one", "", twoInterfaces},
		{"host-local: CHECK finds a lease, and misses one", "0.4.0", leaseCheck},
	}
}

// file writes a file beside the leases and returns its path.
func (h *host) file(name, content string) string {
	path := filepath.Join(h.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.TB.Fatalf("%v", err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		h.TB.Fatalf("%v", err)
	}
	return path
}

func requestedIPs(h *host) error {
	conf := h.local(h.ranges(subnet4, subnet6))
	p := h.Pod()
	p.Args = "IP=10.1.0.50"
	q, r := h.Pod(), h.Pod()
	return errors.Join(
		same("CNI_ARGS", h.MustAdd(p, conf).Addresses(), "10.1.0.50/24 fd00:1::2/64"),
		same("args.cni.ips", h.MustAdd(q, conf.With(object{"args": object{"cni": object{"ips": []string{"10.1.0.51", "fd00:1::51"}}}})).Addresses(),
			"10.1.0.51/24 fd00:1::51/64"),
		same("runtimeConfig.ips, with a prefix length", h.MustAdd(r, conf.With(object{"runtimeConfig": object{"ips": []string{"10.1.0.52/24", "fd00:1::52/64"}}})).Addresses(),
			"10.1.0.52/24 fd00:1::52/64"),
	)
}

func requestedIPsRefused(h *host) error {
	conf := h.local(h.ranges(subnet4))
	first := h.Pod()
	first.Args = "IP=10.1.0.9"
	h.MustAdd(first, conf)
	return h.unchanged("a refused ADD", func() error {
		for _, ip := range []string{"10.1.0.1", "10.1.0.9", "10.9.0.9", "10.1.0.x"} {
			p := h.Pod()
			p.Args = "IP=" + ip
			_, err := h.Add(p, conf)
			if err := refused("IP="+ip, err, nil, ip); err != nil {
				return err
			}
		}
		return nil
	})
}

func roundRobin(h *host) error {
	conf := h.local(h.ranges("10.1.0.0/29")) // .2 to .6
	p := h.Pod()
	if err := same("first", h.MustAdd(p, conf).Addresses(), "10.1.0.2/29"); err != nil {
		return err
	}
	h.MustDel(p, conf)
	for _, want := range []string{"10.1.0.3/29", "10.1.0.4/29", "10.1.0.5/29", "10.1.0.6/29", "10.1.0.2/29"} {
		if err := same("next", h.take(conf), want); err != nil {
			return err
		}
	}
	return nil
}

func neverHandedOut(h *host) error {
	for name, c := range map[string]struct{ subnet, gateway, want string }{
		"ipv4":            {"10.1.0.0/29", "", "2 3 4 5 6"},
		"ipv4, a gateway": {"10.1.0.0/29", "10.1.0.4", "1 2 3 5 6"},
		"ipv6":            {"fd00:1::/126", "", "2 3"},
		"ipv6, a gateway": {"fd00:1::/126", "fd00:1::3", "1 2"},
	} {
		set := object{"subnet": c.subnet}
		if c.gateway != "" {
			set["gateway"] = c.gateway
		}
		conf := h.local(h.ranges().With(object{"ranges": []any{[]any{set}}})).With(object{"name": "of-" + fmt.Sprint(len(name))})
		var got []string
		for range 12 {
			r, err := h.Add(h.Pod(), conf)
			if err != nil {
				break
			}
			bare, _, _ := strings.Cut(r.Addresses(), "/")
			got = append(got, bare[strings.LastIndexAny(bare, ".:")+1:])
		}
		if err := same(name, strings.Join(got, " "), c.want); err != nil {
			return err
		}
	}
	return nil
}

func exhausted(h *host) error {
	conf := h.local(h.ranges("10.1.0.0/30", subnet6)) // .2 alone
	p, q := h.Pod(), h.Pod()
	h.MustAdd(p, conf)
	err := h.unchanged("the refused ADD", func() error {
		_, err := h.Add(q, conf)
		return refused("ADD", err, nil, "10.1.0.2")
	})
	if err != nil {
		return err
	}
	h.MustDel(p, conf)
	_, err = h.Add(q, conf)
	return wrap("after the DEL", err)
}

func rangeLimits(h *host) error {
	set := object{"subnet": subnet4, "rangeStart": "10.1.0.10", "rangeEnd": "10.1.0.11", "gateway": "10.1.0.254"}
	conf := h.local(h.ranges().With(object{"ranges": []any{[]any{set, object{"subnet": "10.2.0.0/24"}}}}))
	r := h.MustAdd(h.Pod(), conf)
	return errors.Join(
		same("first", r.Addresses(), "10.1.0.10/24"),
		same("gateway", r.IPs[0].Gateway, "10.1.0.254"),
		same("second", h.take(conf), "10.1.0.11/24"),
		same("third, of the next range", h.take(conf), "10.2.0.2/24"),
	)
}

func rangeOrder(h *host) error {
	ipam := h.ranges("10.3.0.0/24").With(object{"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.20"})
	runtime := object{"runtimeConfig": object{"ipRanges": []any{[]any{object{"subnet": "10.1.0.0/24"}}}}}
	return same("addresses", h.take(h.local(ipam).With(runtime)), "10.1.0.2/24 10.2.0.20/24 10.3.0.2/24")
}

func badRanges(h *host) error {
	for _, sets := range [][][]any{
		{{object{"subnet": "10.1.0.1/24"}}},
		{{object{"subnet": "10.1.0.0/31"}}},
		{{object{"subnet": "10.1.0.0/32"}}},
		{{object{"subnet": "fd00:1::/127"}}},
		{{object{"subnet": "10.1.0.0/24"}, object{"subnet": "fd00:1::/64"}}},
		{{object{"subnet": "10.1.0.0/24"}}, {object{"subnet": "10.1.0.0/16"}}},
		{{object{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.5"}}},
		{{object{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.5"}}},
		{},
	} {
		_, err := h.Add(h.Pod(), h.local(h.ranges().With(object{"ranges": sets})))
		if err := refused(fmt.Sprint(sets), err, nil); err != nil {
			return err
		}
	}
	return nil
}
