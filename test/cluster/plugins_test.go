package cluster

import (
	"fmt"
	"testing"

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

// The life of a pod, verb by verb.
func TestPodLife(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
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
