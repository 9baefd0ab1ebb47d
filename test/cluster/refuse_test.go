package cluster

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// A node that the file does not name is left alone.
func TestNoEntryForThisNode(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Write(topology.Without("node-a").String())
	before := n.State()
	for _, verb := range []string{"diff", "apply", "validate"} {
		out := n.Podnetctl(verb)
		if out.Code == 0 || !strings.Contains(out.Stdout+out.Stderr, "node-a") {
			t.Errorf("%s: exit code %d, want a refusal that names node-a:\n%s%s", verb, out.Code, out.Stdout, out.Stderr)
		}
	}
	unchanged(t, n, before, "a file without its entry")
}

// Under another name of the network there are no leases: the next pod would get the address of one
// that is there.
func TestAnotherNetworkNameUnderPods(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Start()
	n.AwaitInForce()
	pod := n.Pod("web")
	before := n.State()
	topology.Extra = []string{"network: {cni: {name: other}}"}
	n.Write(topology.String())
	if c := stale(t, n, topology.String()); c.Reason != "RemovalGuard" || !strings.Contains(c.Message, "network.cni.name changes from podnet to other") {
		t.Errorf("condition %+v", c)
	}
	for _, verb := range []string{"diff", "apply"} {
		out := n.Podnetctl(verb)
		exits(t, out, 1, verb)
		if !strings.Contains(out.Stdout, "network.cni.name changes from podnet to other") {
			t.Errorf("%s says\n%s", verb, out.Stdout)
		}
	}
	if out := n.Podnetctl("diff"); !strings.Contains(out.Stdout, "1 local pod: addresses given out again") {
		t.Errorf("diff says\n%s", out.Stdout)
	}
	unchanged(t, n, before, "a file that renames the network")
	if got := n.Pod("db").Addr4(); got == pod.Addr4() {
		t.Errorf("two pods have the address %s", got)
	}
}

// A node whose address is not there yet says so, has all that does not depend on it, and is ready
// when it comes.
func TestNodeIPNotOnHost(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	topology.Nodes[0].IP = "192.0.2.200"
	n.Write(topology.String())
	out := n.Podnetctl("apply")
	exits(t, out, 1, "apply, whose conflist waits for the address")
	if !strings.Contains(out.Stderr, "192.0.2.200, the ip of node-a, is on no link of this host") {
		t.Errorf("apply does not say that the address is missing: %s", out.Stderr)
	}
	n.Launch()
	c := n.AwaitCondition("Ready", "False")
	if c.Reason != "NodeIPMissing" || !strings.Contains(c.Message, "192.0.2.200") || !strings.Contains(c.Message, "topology.yaml:") {
		t.Errorf("condition %+v", c)
	}
	exits(t, n.Podnetctl("status"), 1, "status of a node that is not ready")
	n.Sh("ip link show cni0")
	n.Sh("ip addr add 192.0.2.200/24 dev eth0")
	n.AwaitCondition("Ready", "True")
}

// Devices of our names that somebody else made are left as they are, with the remedy, until
// somebody marks them as ours.
func TestForeignDevices(t *testing.T) {
	for _, c := range []struct{ name, add string }{
		{lab.Bridge, "ip link add cni0 type bridge"},
		{lab.VXLAN, "ip link add podnet.1 type vxlan id 77 dstport 4789 nolearning"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, topology := nodes(t, "node-a", "node-b")
			n := l.Nodes[0]
			n.Sh(c.add)
			foreign := "ip -d -j addr show dev " + c.name
			before := n.Must(strings.Fields(foreign)...)
			n.Start("--resync", "1s") // the kernel does not announce the group of a link that is down
			remedy := "ip link set " + c.name + " group 7200"
			condition := n.AwaitCondition("Conflict", "True")
			if after := n.Must(strings.Fields(foreign)...); after != before {
				t.Errorf("the foreign device changed:\n%s\n%s", before, after)
			}
			out := n.Podnetctl("diff")
			exits(t, out, 1, "diff")
			if !strings.Contains(out.Stdout, remedy) {
				t.Errorf("diff does not give the remedy %q:\n%s", remedy, out.Stdout)
			}
			if condition.Message == "" {
				t.Errorf("condition without a message: %+v", condition)
			}
			s, err := n.Status()
			if err != nil || s.InSync {
				t.Errorf("in sync: %v, %v; want false", s.InSync, err)
			}
			n.Sh(remedy)
			n.AwaitInForce()
			if err := n.CheckPeers(topology); err != nil {
				t.Error(err)
			}
		})
	}
}

// Somebody else's route to a peer's pods stays, and is reported with the command that removes it.
func TestForeignRoute(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	cidr := lab.PodCIDR4(1)
	n.Sh("ip route add " + cidr + " via 192.0.2.1 proto static")
	n.Start()
	n.AwaitCondition("Conflict", "True")
	if out := n.Sh("ip route show proto static"); !strings.Contains(out, cidr+" via 192.0.2.1") {
		t.Errorf("the foreign route is gone:\n%s", out)
	}
	if out := n.Podnetctl("diff"); !strings.Contains(out.Stdout, "ip route del "+cidr) {
		t.Errorf("diff does not give the remedy:\n%s", out.Stdout)
	}
	n.Sh("ip route del " + cidr + " via 192.0.2.1")
	n.AwaitCondition("Conflict", "False")
	if err := n.CheckPeers(topology); err != nil {
		t.Error(err)
	}
}

// Without the capabilities there is one sentence that names what is missing, and exit code 2.
func TestNoPrivileges(t *testing.T) {
	l, _ := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	before := n.Network()
	programs := map[string][]string{
		"podnetd":         {lab.Program("podnetd"), "--root", n.Root, "--node", n.Host},
		"podnetctl apply": {lab.Program("podnetctl"), "--root", n.Root, "--node", n.Host, "apply"},
	}
	check := func(t *testing.T, cmd *exec.Cmd) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), lab.Patience)
		defer cancel()
		out, err := n.Run(ctx, cmd)
		if err != nil {
			t.Fatal(err)
		}
		said := strings.TrimSpace(out.Stderr)
		if out.Code != 2 || !strings.Contains(said, "CAP_NET_ADMIN") || strings.Contains(said, "\n") {
			t.Errorf("exit code %d, want 2 and one sentence with CAP_NET_ADMIN:\n%s%s", out.Code, out.Stdout, out.Stderr)
		}
		if err := lab.SameState(before, n.Network()); err != nil {
			t.Error(err)
		}
	}
	for name, args := range programs {
		t.Run(name+" as root without capabilities", func(t *testing.T) {
			check(t, exec.Command("setpriv", append([]string{"--bounding-set=-all", "--inh-caps=-all"}, args...)...))
		})
		t.Run(name+" as an ordinary user", func(t *testing.T) {
			if data, err := os.ReadFile("/proc/self/uid_map"); err != nil || len(strings.Fields(string(data))) != 3 ||
				strings.Fields(string(data))[2] == "1" {
				t.Skip("this user namespace has one user only: run as root")
			}
			cmd := exec.Command(args[0], args[1:]...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			check(t, cmd)
		})
	}
}
