package portmap

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/test/cnihost"
)

// by is a call of the reference plugin. Where it does not find iptables, the test of that kind is
// skipped.
func (h *host) by(path string, c call) call {
	c.path = path
	return c.with(`"cniVersion":"1.0.0"`)
}

// rename gives a pod's host veth another name.
func (h *host) rename(p *pod, name string) {
	h.T.Helper()
	if err := h.Batch("ip", "link set "+p.veth+" down", "link set "+p.veth+" name "+name, "link set "+name+" up"); err != nil {
		h.T.Fatalf("%v", err)
	}
	p.veth = name
}

// process runs in a pod until it is stopped.
func (p *pod) process(t *testing.T) (stop func()) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := p.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	t.Cleanup(stop)
	return stop
}

// vanish takes a pod's namespace and veth away, as a reboot or a crash of the runtime does: nobody
// calls DEL.
func (h *host) vanish(p *pod) {
	h.T.Helper()
	h.Must("ip", "link", "del", p.veth)
}

// A pod that has gone holds no port: whoever needs it has it at once, whichever plugins made the
// pod and its rules. One that is there keeps it, also if nothing is known of it but its address.
func TestHolderGone(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		plugins := map[string]string{"podnet's": ""}
		if h.kind != "iptables-legacy" { // which the reference plugin does not find here
			plugins["the reference's"] = cnihost.Reference(t)
		}
		n := 0
		for name, path := range plugins {
			for _, renamed := range []bool{false, true} {
				n++
				a, b := h.pod(fmt.Sprint("a", n)), h.pod(fmt.Sprint("b", n))
				if renamed {
					h.rename(a, device.VethName("net", a.ID, "eth0"))
				}
				serve(t, b.Namespace, "b", 80)
				h.must(h.by(path, h.on(a, "8080:80/tcp", "8081:80/udp")))
				h.fails(h.on(b, "8080:80/tcp"), 102, a.ID, "another port")
				h.vanish(a)
				h.must(h.on(b, "8080:80/tcp"))
				answered(t, h.lab.Outside(), "tcp", h.IP4+":8080", "b")
				answered(t, h.Namespace, "tcp", "127.0.0.1:8080", "b")
				h.must(h.on(b, "8080:80/tcp").as("CHECK"))
				if strings.Contains(h.rules(), a.ID) {
					t.Errorf("%s, renamed %t: rules of the pod that has gone: %s", name, renamed, h.rules())
				}
				h.must(h.on(a).as("DEL"))
				h.must(h.on(b, "8080:80/tcp").as("CHECK"))
				h.must(h.on(b).as("DEL"))
				same(t, "rules", h.rules(), "")
			}
		}
	})
}

// A pod whose namespace is there keeps its port, whatever it is behind: a veth of any name, a
// bridge on which it shows no address, or no veth at all.
func TestHolderHidden(t *testing.T) {
	h := newHost(t, "iptables-nft")
	a, b := h.pod("a"), h.pod("b")
	h.must(h.on(a, "8080:80/tcp"))
	if err := a.Batch("ip", "addr flush dev eth0"); err != nil { // as of a virtual machine's, which has the address itself
		t.Fatal(err)
	}
	h.fails(h.on(b, "8080:80/tcp"), 102, a.ID)
	h.vanish(a)
	if err := h.Batch("ip", "link add link br0 name mac0 type macvlan", "link set mac0 netns "+a.Name); err != nil {
		t.Fatal(err)
	}
	if err := a.Batch("ip", "link set mac0 name eth0", "addr add "+a.ip4+"/24 dev eth0", "link set eth0 up"); err != nil {
		t.Fatal(err)
	}
	stop := a.process(t)
	h.fails(h.on(b, "8080:80/tcp"), 102, a.ID)
	stop()
	h.must(h.on(b, "8080:80/tcp"))
}

// An address that another pod has been given since is not the former one's any more.
func TestHolderOfAnothersAddress(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a, b, c := h.pod("a"), h.pod("b"), h.pod("c")
		h.must(h.on(a, "8080:80/tcp"))
		h.must(h.on(c, "8081:80/tcp"))
		h.vanish(a)
		h.vanish(c)
		if err := b.Batch("ip", "addr add "+a.ip4+"/24 dev eth0", "addr add "+c.ip4+"/24 dev eth0"); err != nil {
			t.Fatal(err)
		}
		heir := *b
		heir.ip4 = a.ip4
		h.must(h.on(&heir, "8080:80/tcp"))
		h.fails(h.on(b, "8081:80/tcp"), 102, c.ID) // b may be c, by all that can be seen
		h.rename(b, device.VethName("net", b.ID, "eth0"))
		h.must(h.on(b, "8081:80/tcp"))
	})
}

// A container on two networks with one port: either leads to it, and each DEL leaves the other's.
func TestTwoNetworks(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a := h.pod("a")
		serve(t, a.Namespace, "a", 80)
		first := h.on(a, "8080:80/tcp")
		second := first.with(`"name":"other"`)
		second.ifname = "eth1"
		second = second.with(fmt.Sprintf(`"prevResult":{"ips":[{"address":"%s/24"},{"address":"%s/64"}]}`, a.ip4, a.ip6))
		for _, order := range [][2]call{{first, second}, {second, first}} {
			h.must(order[0])
			h.must(order[1])
			for _, c := range order {
				h.must(c.as("CHECK"))
			}
			answered(t, h.lab.Outside(), "tcp", h.IP4+":8080", "a")
			h.must(order[0].as("DEL"))
			answered(t, h.lab.Outside(), "tcp", h.IP4+":8080", "a")
			answered(t, h.Namespace, "tcp", "127.0.0.1:8080", "a")
			h.must(order[1].as("CHECK"))
			h.must(order[1].as("DEL"))
			same(t, "rules", h.rules(), "")
		}
	})
}
