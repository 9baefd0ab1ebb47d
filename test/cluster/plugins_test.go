package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
)

// Whoever stays with the reference plugins can: podnet's conflist runs on them.
func TestConflistOnReferencePlugins(t *testing.T) {
	dir, err := lab.ReferencePlugins()
	if err != nil {
		t.Skip(err)
	}
	l, _ := cluster(t, "node-a", "node-b")
	l.Nodes[0].CNIPath = dir // the other node keeps podnet's
	a, b := l.Nodes[0].Pod("web"), l.Nodes[1].Pod("db")
	reach(t, a, b)
	reach(t, a, l.Nodes[0].Pod("web2"))
	if err := a.Check(); err != nil {
		t.Error(err)
	}
	if err := a.Del(); err != nil {
		t.Error(err)
	}
	exits(t, l.Nodes[0].Podnetctl("diff"), 0, "diff")
}

// flannelConflist is what flannel's plugin hands to its delegate on a dual stack node.
const flannelConflist = `{
  "cniVersion": "1.0.0",
  "name": "cbr0",
  "plugins": [{
    "type": "bridge", "bridge": "cni0", "mtu": 1450,
    "hairpinMode": true, "isDefaultGateway": true, "isGateway": true, "ipMasq": false,
    "ipam": {
      "type": "host-local", "dataDir": %q,
      "ranges": [[{"subnet": %q}], [{"subnet": %q}]],
      "routes": [{"dst": "10.244.0.0/16"}, {"dst": "fd00:10:244::/48"}]
    }
  }, {"type": "portmap", "capabilities": {"portMappings": true}}]
}
`

// A conflist that was written for the reference plugins works on podnet's.
func TestFlannelsDelegateOnOurPlugins(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	var pods []*lab.Pod
	for i, n := range l.Nodes {
		n.WriteFile("/etc/cni/net.d/05-flannel.conflist",
			fmt.Sprintf(flannelConflist, n.Path("/var/lib/cni/networks"), lab.PodCIDR4(i), lab.PodCIDR6(i)))
		pods = append(pods, n.Pod("one"), n.Pod("two"))
	}
	for i, p := range pods {
		for _, q := range pods[i+1:] {
			reach(t, p, q)
		}
	}
	for _, p := range pods {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		if err := p.Del(); err != nil {
			t.Error(err)
		}
	}
}

// The life of a pod, verb by verb. Nobody heals what a plugin leaves behind: the daemon is stopped.
func TestPodLife(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Stop()
	if err := n.CNIStatus(); err != nil {
		t.Error(err)
	}
	before := n.Network()
	p := n.NewPod("web")
	first, err := p.Add()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	for range 2 { // DEL is repeatable
		if err := p.Del(); err != nil {
			t.Error(err)
		}
	}
	if err := lab.SameState(before, n.Network()); err != nil {
		t.Errorf("ADD and DEL leave a trace:\n%v", err)
	}
	if len(first.IPs) != 2 {
		t.Errorf("addresses %+v, want one of each family", first.IPs)
	}
	if _, err := p.Add(); err != nil {
		t.Errorf("ADD after DEL: %v", err)
	}
	if err := n.CNIGC([]lab.Attachment{{ContainerID: p.ID, IfName: "eth0"}}); err != nil {
		t.Error(err)
	}
	if err := p.Check(); err != nil {
		t.Errorf("GC took a valid pod: %v", err)
	}
}

// A host veth says whose it is: by its name, which anyone can compute, its alias and its group.
func TestHostVeth(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	p := n.Pod("web")
	name := contract.HostVeth("podnet", p.ID, "eth0")
	links := n.Objects("ip -d -j link show dev " + name)
	if len(links) != 1 {
		t.Fatalf("no link %s:\n%s", name, n.Sh("ip link"))
	}
	for field, want := range map[string]any{
		"group": "7201", "ifalias": "podnet/" + p.ID + "/eth0", "master": "cni0", "mtu": 1450.0, "inet6_addr_gen_mode": "none",
	} {
		if got := links[0][field]; got != want {
			t.Errorf("%s of %s is %v, want %v", field, name, got, want)
		}
	}
	if port := n.Sh("bridge -d link show dev " + name); !strings.Contains(port, "hairpin on") {
		t.Errorf("hairpin mode is not on:\n%s", port)
	}
	if addrs := p.Addrs(); len(addrs) != 2 {
		t.Errorf("addresses %v, want one of each family", addrs)
	}
	for _, addr := range p.Addrs() {
		if entry := n.Sh("ip neigh show " + addr.String() + " dev cni0"); !strings.Contains(entry, "extern_learn") || strings.Contains(entry, "PERMANENT") {
			t.Errorf("neighbour entry of %v is %q, want one that is learned from outside, and not permanent", addr, entry)
		}
	}
	// The pod's view.
	route, err := p.Sh("ip route show default")
	if want := "default via 10.244.0.1 dev eth0"; err != nil || !strings.HasPrefix(route, want) {
		t.Errorf("route %q, %v; want %q", route, err, want)
	}
	if s, err := n.Status(); err != nil || s.Peers != len(topology.Nodes)-1 {
		t.Errorf("status: %d peers, %v", s.Peers, err)
	}
}

// Pods that come and go are no damage: the daemon finds nothing to heal while they are made.
func TestPodsAreNothingToHeal(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	for i := range 20 {
		if err := n.Pod(fmt.Sprintf("pod-%d", i)).Del(); err != nil {
			t.Error(err)
		}
	}
	if out := n.Podnetctl("apply"); out.Code != 0 { // a pass more, behind all that the daemon has begun
		t.Fatalf("apply: %+v", out)
	}
	if status, err := n.Status(); err != nil || status.Healed() != 0 {
		t.Errorf("healed %d, %v: %v", status.Healed(), err, status.HealedTotal)
	}
}
