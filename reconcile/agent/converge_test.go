package agent_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

const dualStack = `apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: lab}
network: {clusterCIDRs: [10.244.0.0/16, "fd00:10:244::/48"]}
nodes:
- {name: a, ip: 192.0.2.11, podCIDRs: [10.244.0.0/24, "fd00:10:244::/64"]}
- {name: b, ip: 192.0.2.12, podCIDRs: [10.244.1.0/24, "fd00:10:244:1::/64"]}
`

// host is a network namespace of the calling test's own, with an underlay.
type host struct {
	*testing.T
	engine   *agent.Engine
	topology *schema.Topology
	paths    state.Paths
}

func newHost(t *testing.T, text string) *host {
	t.Helper()
	lab.Need(t)
	lab.Apart(t)
	h := &host{T: t, paths: state.DefaultPaths(t.TempDir())}
	h.run("sysctl -qw net.ipv6.conf.default.accept_dad=0; ip link set lo up; ip link add eth0 type veth peer name switch0; ip link set eth0 up; ip link set switch0 up; ip addr add 192.0.2.11/24 dev eth0")
	var err error
	if h.topology, err = schema.Parse("topology.yaml", []byte(text)); err != nil {
		t.Fatal(err)
	}
	if h.engine, err = agent.Open(agent.Settings{Paths: h.paths, Node: "a"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.engine.Close)
	return h
}

func (h *host) run(command string) string {
	h.Helper()
	out, err := exec.Command("sh", "-ec", command).CombinedOutput()
	if err != nil {
		h.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// view is what the host's topology asks for, by the engine of somebody.
func (h *host) view(by *agent.Engine, inForce *schema.Topology) reconcile.View {
	h.Helper()
	id, err := by.Identity()
	if err != nil {
		h.Fatal(err)
	}
	view, err := by.View(id, h.topology, inForce)
	if err != nil {
		h.Fatal(err)
	}
	return view
}

// converge is one pass, which has to leave nothing to do.
func (h *host) converge() (*reconcile.Plan, error) {
	h.Helper()
	return h.engine.Converge(h.view(h.engine, h.topology))
}

// oddStates are what somebody may do to podnet's objects.
func oddStates() map[string]string {
	mac := schema.DeriveVTEPMAC("lab", "b").String()
	return map[string]string{
		"a vxlan device in a bridge":           "ip link add br9 type bridge; ip link set podnet.1 master br9",
		"FDB with a port":                      "bridge fdb append aa:bb:cc:dd:ee:01 dev podnet.1 dst 192.0.2.50 port 77 self permanent",
		"FDB with a VNI":                       "bridge fdb append aa:bb:cc:dd:ee:01 dev podnet.1 dst 192.0.2.50 vni 9 self permanent",
		"FDB bound to a link":                  "bridge fdb replace " + mac + " dev podnet.1 dst 192.0.2.12 via eth0 self permanent",
		"FDB for unknown frames":               "bridge fdb append 00:00:00:00:00:00 dev podnet.1 dst 192.0.2.50 self permanent; bridge fdb append 00:00:00:00:00:00 dev podnet.1 dst 192.0.2.51 port 99 self permanent",
		"FDB that ages":                        "bridge fdb replace " + mac + " dev podnet.1 dst 192.0.2.12 self dynamic",
		"a neighbour that is not permanent":    "ip neigh replace 10.244.1.0 lladdr 00:00:5e:00:53:01 nud stale dev podnet.1",
		"the gateway behind another address":   "ip addr del 10.244.0.1/24 dev cni0; ip addr add 10.244.0.99/24 dev cni0",
		"an address beside the gateway":        "ip addr add 10.244.0.99/24 dev cni0",
		"the IPv6 gateway with another length": "ip addr del fd00:10:244::1/64 dev cni0; ip addr add fd00:10:244::1/128 dev cni0",
		"the subnet's route gone":              "ip route del 10.244.0.0/24 dev cni0",
		"the IPv6 subnet's route gone":         "ip -6 route del fd00:10:244::/64 dev cni0",
		"a route with metrics":                 "ip route replace 10.244.1.0/24 via 10.244.1.0 dev podnet.1 onlink metric 838 proto 72 mtu lock 600",
		"a route with a source":                "ip route replace 10.244.1.0/24 via 10.244.1.0 dev podnet.1 onlink metric 838 proto 72 src 10.244.0.1",
		"a route's twin for a TOS":             "ip route add 10.244.1.0/24 tos 4 via 10.244.1.0 dev podnet.1 onlink metric 838 proto 72",
		"a route that leads nowhere":           "ip route replace blackhole 10.244.1.0/24 metric 838 proto 72",
		"a jump behind another's rule, twice":  "iptables -I FORWARD 2 -j REJECT; iptables -A FORWARD -j PODNET-FORWARD",
		"a jump with a condition":              "iptables -A FORWARD -i eth0 -j PODNET-FORWARD",
		"a jump from another chain":            "iptables -N OTHER; iptables -A OTHER -m comment --comment 'not ours' -j PODNET-FORWARD",
		"a rule more":                          "iptables -A PODNET-FORWARD -j DROP",
		"an old chain":                         "iptables -t nat -N PODNET-OLD; iptables -t nat -A POSTROUTING -j PODNET-OLD",
		"both devices down":                    "ip link set podnet.1 down; ip link set cni0 down",
		"MACs and MTUs":                        "ip link set podnet.1 address 02:00:00:00:00:01 mtu 1300; ip link set cni0 address 02:00:00:00:00:02 mtu 1300",
		"a link with the group of podnet's":    "ip link add stray group 7200 type bridge",
	}
}

// Whatever somebody does to podnet's objects, one pass puts right, and the next finds nothing to
// do.
func TestOddStatesConverge(t *testing.T) {
	for name, damage := range oddStates() {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, dualStack)
			if _, err := h.converge(); err != nil {
				t.Fatal(err)
			}
			h.run(damage)
			healed, err := h.converge()
			if err != nil {
				t.Error(err)
			}
			if len(healed.Steps) == 0 {
				t.Error("not noticed")
			}
			if again, err := h.converge(); err != nil || !again.InSync() {
				t.Errorf("the second pass found %d steps, %v", len(again.Steps), err)
			}
			if jumps := h.run("iptables -S FORWARD"); strings.Index(jumps, "-j PODNET-FORWARD") > strings.Index(jumps+"-j REJECT", "-j REJECT") {
				t.Errorf("the jump is behind a REJECT:\n%s", jumps)
			}
		})
	}
}

// The kernel forgets a device's neighbours with its MAC, so one pass has to put them back.
func TestAnotherMAC(t *testing.T) {
	h := newHost(t, dualStack)
	if _, err := h.converge(); err != nil {
		t.Fatal(err)
	}
	before := h.topology
	var err error
	if h.topology, err = schema.Parse("topology.yaml", []byte(strings.Replace(dualStack, "{name: a,", `{name: a, vtepMAC: "02:00:00:00:00:0a",`, 1))); err != nil {
		t.Fatal(err)
	}
	plan, err := h.engine.Converge(h.view(h.engine, before))
	if err != nil || len(plan.Steps) != 3 {
		t.Errorf("%v, want a link changed and two neighbours put back, got %d steps", err, len(plan.Steps))
	}
	for _, s := range plan.Steps {
		if s.Cause != reconcile.CauseChange {
			t.Errorf("%s %s is of cause %s", s.Kind, s.Object().Name(), s.Cause)
		}
	}
	if again, err := h.converge(); err != nil || !again.InSync() {
		t.Errorf("the second pass found %d steps, %v", len(again.Steps), err)
	}
}

// Another's tunnel of the same VNI and port is named before anything fails; what does not need
// podnet's own converges.
func TestAnothersTunnel(t *testing.T) {
	h := newHost(t, dualStack)
	h.run("ip link add flannel.1 type vxlan id 1 dstport 8472 dev eth0")
	plan, err := h.converge()
	if err == nil || plan.InSync() {
		t.Error("in sync")
	}
	if len(plan.Conflicts) != 1 || plan.Conflicts[0].Object() != "flannel.1" || !strings.HasPrefix(plan.Conflicts[0].Remedy, "ip link del flannel.1") {
		t.Errorf("conflicts %+v", plan.Conflicts)
	}
	h.run("ip link show cni0")
	if _, err := os.Stat(h.paths.Conflist); err == nil {
		t.Error("the conflist is there without the node's own network")
	}
}

// Next hops that somebody adds to podnet's route are reported and left alone.
func TestForeignNextHops(t *testing.T) {
	h := newHost(t, dualStack)
	if _, err := h.converge(); err != nil {
		t.Fatal(err)
	}
	h.run("ip addr add 2001:db8::11/64 dev eth0 nodad; ip -6 route append fd00:10:244:1::/64 via 2001:db8::99 dev eth0 metric 1024 proto static")
	plan, err := h.converge()
	if err == nil || len(plan.Conflicts) != 1 || plan.Conflicts[0].Remedy != "ip -6 route del fd00:10:244:1::/64 via 2001:db8::99 dev eth0 metric 1024" {
		t.Errorf("%v, conflicts %+v", err, plan.Conflicts)
	}
	if routes := h.run("ip -6 route show fd00:10:244:1::/64"); !strings.Contains(routes, "2001:db8::99") {
		t.Errorf("the foreign hop is gone:\n%s", routes)
	}
	h.run(plan.Conflicts[0].Remedy)
	if _, err := h.converge(); err != nil {
		t.Errorf("after the remedy: %v", err)
	}
}

// A conflist of another's in podnet's place is not overwritten; a damaged one is podnet's; one of
// an earlier name goes.
func TestConflistOfOthers(t *testing.T) {
	h := newHost(t, dualStack)
	write := func(path, text string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	const foreign = `{"cniVersion":"1.0.0","name":"cbr0","plugins":[{"type":"flannel"}]}`
	write(h.paths.Conflist, foreign)
	plan, err := h.converge()
	if err == nil || len(plan.Conflicts) != 1 || plan.Conflicts[0].Key.Kind != state.KindConflist {
		t.Errorf("%v, conflicts %+v", err, plan.Conflicts)
	}
	if err := h.engine.HoldConflist(); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(h.paths.Conflist); string(b) != foreign {
		t.Errorf("overwritten: %s", b)
	}
	write(h.paths.Conflist, foreign[:20])
	earlier := filepath.Join(filepath.Dir(h.paths.Conflist), "05-podnet.conflist")
	write(earlier, `{"plugins":[{"type":"bridge","bridge":"cni0","podnet":{}}]}`)
	if _, err := h.converge(); err != nil {
		t.Errorf("a damaged conflist: %v", err)
	}
	if _, err := os.Stat(earlier); err == nil {
		t.Error("the conflist of an earlier name is still there")
	}
}

// At a start without its bridge, or beside a bridge of that name that is not podnet's, the conflist
// goes, whatever the topology says; with it, it stays.
func TestHoldConflist(t *testing.T) {
	for _, c := range []struct {
		name, damage string
		stays, after bool // whether it is there at the start, and after the first pass
	}{
		{"its own bridge", "true", true, true},
		{"its own bridge, down", "ip link set cni0 down", true, true},
		{"no bridge", "ip link del cni0", false, true},
		{"another maker's bridge", "ip link del cni0; ip link add cni0 type bridge; ip addr add 172.30.0.1/24 dev cni0; ip link set cni0 up", false, false},
		{"its own bridge, given away", "ip link set cni0 group 0", false, false},
		{"a device that is no bridge", "ip link del cni0; ip link add cni0 group 7200 type vxlan id 9 dstport 4789", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, dualStack)
			if _, err := h.converge(); err != nil {
				t.Fatal(err)
			}
			h.run(c.damage)
			if err := h.engine.HoldConflist(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(h.paths.Conflist); (err == nil) != c.stays {
				t.Errorf("after %s: %v", c.damage, err)
			}
			_, failed := h.converge()
			if _, err := os.Stat(h.paths.Conflist); (err == nil) != c.after {
				t.Errorf("after %s and a pass (%v): %v", c.damage, failed, err)
			}
		})
	}
}

// An IPv4 cluster on a link too small for IPv6, and destinations that are everything.
func TestUnusualTopologies(t *testing.T) {
	for name, c := range map[string]struct{ text, before string }{
		"small underlay":         {strings.NewReplacer(`, "fd00:10:244::/64"`, "", `, "fd00:10:244:1::/64"`, "", `, "fd00:10:244::/48"`, "").Replace(dualStack), "ip link set eth0 mtu 1300"},
		"nothing is masqueraded": {strings.Replace(dualStack, "network: {", `network: {masquerade: {nonMasqueradeCIDRs: [0.0.0.0/0, "::/0"]}, `, 1), "true"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, c.text)
			h.run(c.before)
			if _, err := h.converge(); err != nil {
				t.Error(err)
			}
			if again, err := h.converge(); err != nil || !again.InSync() {
				t.Errorf("the second pass found %d steps, %v", len(again.Steps), err)
			}
		})
	}
}
