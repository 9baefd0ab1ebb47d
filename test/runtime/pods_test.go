package runtime

import (
	"fmt"
	"os"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	if err := lab.RequirePrograms("podnetd", "cni/bridge", "cni/host-local", "cni/loopback"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(lab.Isolate(m))
}

// Pods that containerd starts have addresses of both families, talk on one node and across nodes, their containers over
// localhost, and give everything back. The runtime is ready when podnetd says so and not before.
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
	a, b, c := one.run("a"), one.run("b"), two.run("c")
	for _, p := range []*pod{a, b, c} {
		if len(p.ips) != 2 {
			t.Errorf("addresses %v, want one of each family", p.ips)
		}
	}
	main := a.container("main", "sleep", "1000")
	a.container("web", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/etc")
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
	for _, p := range []*pod{a, b, c} {
		p.remove()
	}
	for _, c := range []*containerd{one, two} {
		if left := c.leases(); len(left) > 0 {
			t.Errorf("%s: leases left: %v", c.node.Host, left)
		}
	}
}
