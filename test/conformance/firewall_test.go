package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/podnet/podnet/test/lab"
)

// firewallCases are about masquerading and host ports, seen from a machine that has no route to the
// pods.
func firewallCases() []testCase {
	var all []testCase
	for _, backend := range []string{"iptables", "nftables"} {
		all = append(all,
			testCase{"ipMasq, " + backend + ": a pod reaches a machine that has no route back", "", func(h *host) error { return masquerade(h, backend) }},
			testCase{"ipMasq, " + backend + ": DEL leaves no rule, though the namespace has vanished", "", func(h *host) error { return masqueradeGone(h, backend) }},
			testCase{"portmap, " + backend + ": a host port leads to the pod, from outside, the host and the pod", "", func(h *host) error { return hostPort(h, backend) }},
			testCase{"portmap, " + backend + ": DEL leaves no rule, without namespace and previous result", "", func(h *host) error { return hostPortGone(h, backend) }},
			testCase{"portmap, " + backend + ": one container on two networks, one host port: DEL of one leaves the other's", "", func(h *host) error { return hostPortTwice(h, backend) }},
			testCase{"portmap, " + backend + ": a host port whose pod has vanished leads to the next", "", func(h *host) error { return hostPortInherited(h, backend) }},
		)
	}
	return append(all,
		testCase{"portmap hands the previous result on", "", portmapPrevious},
		testCase{"portmap: a host port that is taken is refused", "", hostPortTaken},
		testCase{"portmap: conditions about the destination, with and without a hostIP", "", hostPortConditions},
		testCase{"portmap: CHECK passes, and misses a rule", "0.4.0", portmapCheck},
		testCase{"portmap: GC takes the rules of what is not valid away", "1.1.0", portmapGC},
	)
}

// outside is a machine on the host's other side: 192.0.2.2, the host is 192.0.2.1.
func (h *host) outside() *lab.Namespace {
	out := lab.NewNamespace(h.TB, "outside")
	h.Must("ip link add up0 type veth peer name eth0 netns " + out.Name)
	h.Must("ip addr add 192.0.2.1/24 dev up0")
	h.Must("ip link set up0 up")
	h.MustIn(out, "ip addr add 192.0.2.2/24 dev eth0")
	h.MustIn(out, "ip link set eth0 up")
	return out
}

func (h *host) masquerading(backend string) object {
	return h.gateway(h.ranges(subnet4, subnet6)).With(object{"ipMasq": true, "ipMasqBackend": backend})
}

func masquerade(h *host, backend string) error {
	h.outside()
	p := h.Pod()
	if _, err := h.Add(p, h.masquerading(backend)); err != nil {
		return err
	}
	return h.eventually(func() error { return p.Ping("192.0.2.2") })
}

func masqueradeGone(h *host, backend string) error {
	conf := h.masquerading(backend)
	if _, err := h.Add(h.Pod(), conf); err != nil {
		return err
	}
	return h.unchanged("ADD and DEL", func() error {
		p := h.Pod()
		h.MustAdd(p, conf)
		h.Vanish(p)
		return h.gone(1, h.Del(p, conf))
	})
}

// mapped is a pod with its interface, and portmap's configuration for its port 80.
func (h *host) mapped(backend string, hostPort int) (*pod, object, result) {
	p := h.Pod()
	r := h.MustAdd(p, h.gateway(h.ranges(subnet4, subnet6)).With(object{"hairpinMode": true}))
	return p, object{
		"cniVersion": h.version, "name": "net", "type": "portmap", "capabilities": object{"portMappings": true},
		"snat": true, "backend": backend, "prevResult": json.RawMessage(r.Raw),
		"runtimeConfig": object{"portMappings": []object{{"hostPort": hostPort, "containerPort": 80, "protocol": "tcp"}}},
	}, r
}

// greet has the pod answer on its port 80 with its id, until the returned function is called. It
// listens once, as another test's child that is about to execute may keep a closed port for a
// moment.
func greet(p *pod) (stop func(), err error) {
	var listener net.Listener
	err = p.Do(func() (err error) { listener, err = net.Listen("tcp", ":80"); return err })
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(p.ID)) // the reader notices
			c.Close()
		}
	}()
	return func() { listener.Close() }, nil
}

// greets says whether a TCP connection from a namespace to an address is answered by the pod.
func greets(from *lab.Namespace, p *pod, addr string) error {
	var said []byte
	err := from.Do(func() error {
		c, err := net.DialTimeout("tcp", addr, lab.Patience/5)
		if err != nil {
			return err
		}
		defer c.Close()
		said, err = io.ReadAll(c)
		return err
	})
	if err != nil {
		return err
	}
	return same("the answer", string(said), p.ID)
}

func hostPort(h *host, backend string) error {
	outside := h.outside()
	p, conf, _ := h.mapped(backend, 8080)
	if _, err := h.Add(p, conf); err != nil {
		return err
	}
	stop, err := greet(p)
	if err != nil {
		return err
	}
	defer stop()
	return errors.Join(
		wrap("from outside", greets(outside, p, "192.0.2.1:8080")),
		wrap("from the host", greets(h.Namespace, p, "192.0.2.1:8080")),
		wrap("from the host's localhost", greets(h.Namespace, p, "127.0.0.1:8080")),
		wrap("from the pod itself", greets(p.Namespace, p, "192.0.2.1:8080")),
	)
}

func hostPortConditions(h *host) error {
	out := h.outside()
	p, conf, _ := h.mapped("iptables", 8080)
	conf["conditionsV4"], conf["conditionsV6"] = []string{"!", "-d", "198.51.100.0/24"}, []string{"!", "-d", "fc00::/7"}
	conf["runtimeConfig"] = object{"portMappings": []object{
		{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 8081, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.1"},
	}}
	if _, err := h.Add(p, conf); err != nil {
		return err
	}
	stop, err := greet(p)
	if err != nil {
		return err
	}
	defer stop()
	return errors.Join(greets(out, p, "192.0.2.1:8080"), greets(out, p, "192.0.2.1:8081"))
}

func hostPortGone(h *host, backend string) error {
	q, first, _ := h.mapped(backend, 8079)
	if _, err := h.Add(q, first); err != nil {
		return err
	}
	p, conf, _ := h.mapped(backend, 8080)
	return h.unchanged("ADD and DEL", func() error {
		h.MustAdd(p, conf)
		delete(conf, "prevResult")
		for range 2 {
			_, err := h.Execute("portmap", conf.Text(), "COMMAND=DEL", "CONTAINERID="+p.ID, "NETNS=", "IFNAME=eth0", "PATH="+h.Plugins)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// hostPortTwice asks the same of two networks, as a runtime does that hands its port mappings to
// each of them.
func hostPortTwice(h *host, backend string) error {
	outside := h.outside()
	p, conf, _ := h.mapped(backend, 8080)
	other := conf.With(object{"name": "other"})
	if _, err := h.Add(p, conf); err != nil {
		return err
	}
	if _, err := h.Add(p, other); err != nil {
		return err
	}
	stop, err := greet(p)
	if err != nil {
		return err
	}
	defer stop()
	if err := wrap("with both", greets(outside, p, "192.0.2.1:8080")); err != nil {
		return err
	}
	h.MustDel(p, conf)
	return wrap("with the other alone", greets(outside, p, "192.0.2.1:8080"))
}

// hostPortInherited is about a pod that nobody has deleted.
func hostPortInherited(h *host, backend string) error {
	outside := h.outside()
	p, conf, _ := h.mapped(backend, 8080)
	if _, err := h.Add(p, conf); err != nil {
		return err
	}
	h.Vanish(p)
	if err := h.gone(0, nil); err != nil { // the kernel takes its time
		return err
	}
	q, second, _ := h.mapped(backend, 8080)
	if _, err := h.Add(q, second); err != nil {
		return err
	}
	stop, err := greet(q)
	if err != nil {
		return err
	}
	defer stop()
	return greets(outside, q, "192.0.2.1:8080")
}

func portmapPrevious(h *host) error {
	p, conf, r := h.mapped("iptables", 8080)
	got, err := h.Add(p, conf)
	if err != nil {
		return err
	}
	delete(conf, "runtimeConfig")
	plain, err := h.Add(h.Pod(), conf)
	if err != nil {
		return err
	}
	want := fmt.Sprint(r.Addresses(), r.RouteTexts(), r.Interfaces)
	return errors.Join(same("with mappings", fmt.Sprint(got.Addresses(), got.RouteTexts(), got.Interfaces), want),
		same("without", fmt.Sprint(plain.Addresses(), plain.RouteTexts(), plain.Interfaces), want))
}

func hostPortTaken(h *host) error {
	p, conf, _ := h.mapped("iptables", 8080)
	if _, err := h.Add(p, conf); err != nil {
		return err
	}
	q, second, _ := h.mapped("iptables", 8080)
	return h.unchanged("the refused ADD", func() error {
		_, err := h.Add(q, second)
		return refused("ADD of the same host port", err, nil, "8080")
	})
}

func portmapCheck(h *host) error {
	p, conf, r := h.mapped("iptables", 8080)
	if _, err := h.Add(p, conf); err != nil {
		return err
	}
	if err := h.Check(p, conf, r); err != nil {
		return err
	}
	h.Must("nft flush ruleset")
	return refused("CHECK without rules", h.Check(p, conf, r), nil)
}

func portmapGC(h *host) error {
	valid, conf, _ := h.mapped("iptables", 8080)
	if _, err := h.Add(valid, conf); err != nil {
		return err
	}
	p, second, _ := h.mapped("iptables", 8081)
	err := h.unchanged("ADD and GC", func() error {
		h.MustAdd(p, second)
		delete(conf, "prevResult")
		delete(conf, "runtimeConfig")
		return h.GC(conf, valid)
	})
	if rules := strings.Join(h.Firewall(), "\n"); err == nil && !strings.Contains(rules, "8080") {
		return errors.New("the valid pod's rules are gone")
	}
	return err
}
