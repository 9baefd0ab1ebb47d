package cluster

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// furnish puts objects of other owners on a node, some of them as close to podnet's as they can be.
func furnish(n *lab.Node) {
	for _, line := range []string{
		"ip link add cni1 type bridge",
		"ip link set cni1 up",
		"ip addr add 198.51.100.1/24 dev cni1",
		"ip link add vethdead0001 type veth peer name vethdead0002",
		"ip link set vethdead0001 up",
		"ip link set vethdead0002 up",
		"ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:07 dev cni1 nud permanent",
		"ip link add vxlan9 type vxlan id 9 dstport 4789 nolearning",
		"ip link set vxlan9 up",
		"bridge fdb add 02:00:00:00:00:09 dev vxlan9 dst 192.0.2.222",
		"ip route add 203.0.113.0/24 via 192.0.2.1 proto static",
		"ip route add 203.0.113.128/25 via 192.0.2.1 table 77",
		"ip -6 route add 2001:db8:77::/48 via 2001:db8::1 proto static",
		"iptables -A FORWARD -s 203.0.113.7 -j DROP",
		"iptables -t nat -N OTHERS-MASQUERADE",
		"iptables -t nat -A POSTROUTING -s 198.51.100.0/24 -j OTHERS-MASQUERADE",
		"ip6tables -A INPUT -s 2001:db8:77::/48 -j DROP",
	} {
		n.Sh(line)
	}
}

// Teardown takes away what podnet made, all of it, and nothing else.
func TestTeardown(t *testing.T) {
	l, _ := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	furnish(n)
	n.SetSysctl("net/ipv6/conf/all/disable_ipv6", "0")
	bare := n.Network()
	n.Start()
	n.AwaitInForce()
	p := n.Pod("web")

	before := n.State()
	out := n.Podnetctl("teardown")
	if out.Code == 0 {
		t.Error("teardown while podnetd runs: exit code 0")
	}
	unchanged(t, n, before, "a refused teardown")
	n.Stop()
	if out := n.Podnetctl("teardown"); out.Code != 1 || !strings.Contains(out.Stderr, "default/web") {
		t.Errorf("teardown with a pod present: exit code %d, want 1 and the pod's name: %s", out.Code, out.Stderr)
	}
	unchanged(t, n, before, "a refused teardown")
	if err := p.Del(); err != nil {
		t.Fatal(err)
	}
	before = n.State()
	files := n.Files()
	n.Podnetctl("teardown", "--dry-run")
	unchanged(t, n, before, "teardown --dry-run")
	if !maps.Equal(files, n.Files()) {
		t.Error("teardown --dry-run changed a file")
	}

	exits(t, n.Podnetctl("teardown"), 0, "teardown")
	if err := lab.SameState(bare, n.Network()); err != nil {
		t.Errorf("not as it was before podnet came:\n%v", err)
	}
	for path, kept := range map[string]bool{
		lab.TopologyPath: true, lab.ConflistPath: false, "/var/lib/podnet": false, "/run/podnet": false,
		"/var/lib/cni/networks/podnet": true,
	} {
		if _, err := os.Stat(n.Path(path)); (err == nil) != kept {
			t.Errorf("%s: kept %v, want %v", path, err == nil, kept)
		}
	}
	exits(t, n.Podnetctl("teardown"), 0, "a second teardown")
}

// With --force the pods lose their network, and what was theirs on the host is gone too.
func TestTeardownForce(t *testing.T) {
	l, _ := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	bare := n.Network()
	n.Start()
	n.AwaitInForce()
	n.Pod("web")
	n.Stop()
	out := n.Podnetctl("teardown", "--force")
	exits(t, out, 0, "teardown --force")
	if !strings.Contains(out.Stdout, "default/web") {
		t.Errorf("teardown does not say who has lost the network:\n%s", out.Stdout)
	}
	if err := lab.SameState(bare, n.Network()); err != nil {
		t.Errorf("not as it was before podnet came:\n%v", err)
	}
}

// What an interrupted teardown has left, the next one takes, and what others put beside it in the
// meantime stays.
func TestTeardownAgain(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	bare := n.Network()
	for _, part := range n.Harms(topology, "node-b") {
		exits(t, n.Podnetctl("apply"), 0, "apply")
		part.Do()
		exits(t, n.Podnetctl("teardown"), 0, "teardown after "+part.What)
		if err := lab.SameState(bare, n.Network()); err != nil {
			t.Errorf("after %s, and teardown:\n%v", part.What, err)
		}
	}
	const foreign = `{"cniVersion":"1.0.0","name":"x","plugins":[{"type":"bridge"}]}`
	n.WriteFile(lab.ConflistPath, foreign)
	exits(t, n.Podnetctl("teardown"), 0, "teardown beside somebody else's conflist")
	if have, err := n.ReadFile(lab.ConflistPath); err != nil || have != foreign {
		t.Errorf("somebody else's conflist of podnet's name: %q, %v", have, err)
	}
}

// What killed processes have left half written goes with the next one that changes something, and
// with teardown; a file of nearly the same name is somebody else's.
func TestHalfWritten(t *testing.T) {
	l, _ := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	const foreign = "/etc/cni/net.d/.20-other.conflist.new"
	n.WriteFile(foreign, "{")
	for _, next := range []struct {
		name string
		do   func()
	}{
		{"podnetd", func() { n.Start(); n.AwaitInForce(); n.Stop() }},
		{"apply", func() { exits(t, n.Podnetctl("apply"), 0, "apply") }},
		{"teardown", func() { exits(t, n.Podnetctl("teardown"), 0, "teardown") }},
	} {
		var left []string
		for _, path := range []string{lab.TopologyPath, lab.ConflistPath, lab.LastGoodPath, "/var/lib/podnet/rolled-back", lab.StatusPath} {
			tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
			n.WriteFile(tmp, "half")
			left = append(left, tmp)
		}
		next.do()
		files := n.Files()
		for _, tmp := range left {
			if _, there := files[tmp]; there {
				t.Errorf("%s leaves %s", next.name, tmp)
			}
		}
		if files[foreign] != "{" {
			t.Errorf("%s has touched %s", next.name, foreign)
		}
	}
}
