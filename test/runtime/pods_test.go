package runtime

import (
	"net/netip"
	"os"
	"slices"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Isolate(m, "podnetd", "cni/bridge", "cni/host-local", "cni/loopback"))
}

// Pods that containerd starts have addresses of both families, talk on one node and across nodes,
// their containers over localhost, and give everything back. The runtime is ready when podnetd says
// so and not before.
func TestContainerd(t *testing.T) {
	requirePrograms(t, "containerd", "runc", "ctr", "busybox")
	l := lab.New(t)
	l.OwnConflists = true // with another's, the runtime would be ready too early
	one, two := startContainerd(t, l.Node("node-a")), startContainerd(t, l.Node("node-b"))
	for _, c := range []*containerd{one, two} {
		if c.networkReady() == nil {
			t.Errorf("%s: the runtime is ready without a network", c.node.Host)
		}
		c.node.Write(l.Topology().String())
		c.node.Start()
		c.await("the runtime notices the conflist", c.networkReady)
	}
	web := &cri.PortMapping{Protocol: cri.Protocol_TCP, HostPort: 8088, ContainerPort: 8080}
	a, b, c := one.run("a", web), one.run("b"), two.run("c")
	a.wantAddressesOf(0)
	b.wantAddressesOf(0)
	c.wantAddressesOf(1)
	main := a.container("main", "sleep", "1000")
	a.container("web", "httpd", "-f", "-p", "8080", "-h", "/etc")
	b.container("main", "sleep", "1000")
	remote := c.container("main", "sleep", "1000")
	for _, to := range append(b.ips, c.ips...) {
		if _, err := a.exec(main, "ping", "-c", "1", "-W", "2", to); err != nil {
			t.Errorf("a -> %s: %v", to, err)
		}
	}
	for _, to := range a.ips {
		if _, err := c.exec(remote, "ping", "-c", "1", "-W", "2", to); err != nil {
			t.Errorf("c -> %s: %v", to, err)
		}
	}
	one.await("containers of one pod talk over localhost", func() error {
		_, err := a.exec(main, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/passwd")
		return err
	})
	for _, host := range []string{one.node.IP4, "[" + one.node.IP6 + "]"} {
		for _, from := range []*lab.Namespace{one.node.Namespace, two.node.Namespace, l.Outside()} {
			if _, err := from.Exec("busybox", "wget", "-q", "-O", "-", "http://"+host+":8088/passwd"); err != nil {
				t.Errorf("%s -> host port of a: %v", from.Name, err)
			}
		}
	}
	if _, err := c.exec(remote, "wget", "-q", "-O", "-", "http://"+one.node.IP4+":8088/passwd"); err != nil {
		t.Errorf("c -> host port of a: %v", err)
	}
	for _, p := range []*pod{a, b, c} {
		p.remove()
	}
	one.wantNothingLeft()
	two.wantNothingLeft()
}

// wantAddressesOf checks that the pod has one address of each podCIDR of the lab's node.
func (p *pod) wantAddressesOf(node int) {
	p.c.t.Helper()
	for _, cidr := range []string{lab.PodCIDR4(node), lab.PodCIDR6(node)} {
		inside := func(ip string) bool { return netip.MustParsePrefix(cidr).Contains(netip.MustParseAddr(ip)) }
		if len(p.ips) != 2 || !slices.ContainsFunc(p.ips, inside) {
			p.c.t.Errorf("addresses %v, want one of %s", p.ips, cidr)
		}
	}
}
