package screen

import (
	"bytes"
	"testing"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// healthy is a node whose answer is yes.
func healthy() Status {
	now := time.Date(2026, 3, 14, 2, 9, 21, 0, time.UTC)
	const digest = "sha256:4c1d07aa93f2ee"
	return Status{
		NodeStatus: &document.NodeStatus{
			Node: "node-17", IP: "192.0.2.27", PodCIDRs: []string{"10.244.17.0/24", "fd00:10:244:11::/64"}, MTU: 1450, Version: "1.0.2",
			Daemon: &document.DaemonStatus{PID: 812, StartedAt: now.Add(-12 * 24 * time.Hour), ResyncSeconds: 30},
			Topology: document.TopologyStatus{
				Path: inPlace, Digest: digest, Origin: rollout.OriginFile, LoadedAt: now.Add(-12 * 24 * time.Hour),
				OnDisk: document.OnDisk{Digest: digest, Accepted: true},
			},
			InSync: true, Peers: 199,
			Addresses:  map[string]document.PoolUse{"ipv4": {Used: 31, Total: 253}, "ipv6": {Used: 31, Total: 1<<53 - 1}},
			LastPass:   document.PassStatus{At: now.Add(-4 * time.Second), DurationSeconds: 0.0021},
			LastHealed: []document.Healed{{At: now.Add(-57 * time.Minute), Op: "create", Kind: "route", Name: "10.244.42.0/24"}},
			Conditions: []document.Condition{{Type: document.Ready, Status: "True"}, {Type: document.StaleTopology, Status: "False"}},
		},
		Now: now, Pods: 31, Facts: state.Facts{Underlay: "eno1", UnderlayMTU: 1500},
		Tunnel:       schema.VXLAN{Name: "podnet.1", VNI: 1, Port: 8472},
		TopologyPath: inPlace, ConflistPath: "/etc/cni/net.d/10-podnet.conflist", FirstConflist: "10-podnet.conflist",
		Plugins: Plugins{Versions: []string{"1.0.2"}},
	}
}

func refused() Status {
	s := healthy()
	s.Topology.Path, s.Topology.Origin = "/var/lib/podnet/last-good.yaml", rollout.OriginLastGood
	s.Topology.OnDisk = document.OnDisk{Digest: "sha256:e81f55d0c7b6aa", Reason: rollout.ReasonGuard, Guard: &reconcile.Guard{
		Numbers: "drops 96 of 199 peers, none named in removedNodes: node-105 .. node-200 (limit 20)",
		Cause:   "metadata.nodeCount says 200, the file holds 104: it was probably cut off",
		WaysOn: "push the right file (nothing else to do), or if they really leave: name them in removedNodes, or  " +
			"podnetctl apply --allow-disruption",
	}}
	since := s.Now.Add(-370 * time.Second)
	s.Conditions[1] = document.Condition{Type: document.StaleTopology, Status: "True", LastTransitionTime: since}
	s.Answer = []string{"new file refused; the network runs on the last good one"}
	s.InForceNodes, s.OnDiskNodes, s.OnDiskWritten = 200, 104, since
	return s
}

func unattended() Status {
	s := healthy()
	s.NoDaemon, s.Daemon = "NOT RUNNING since 02:09:17Z: nothing heals this (journalctl -u podnetd)", nil
	s.Answer = []string{"podnetd does not run: nothing heals this node"}
	s.FirstConflist, s.Plugins.Missing, s.Plugins.Where = "05-other.conf", []string{"portmap"}, "/usr/lib/cni"
	return s
}

func drifting() Status {
	s := healthy()
	s.InSync = false
	s.Answer = []string{"2 objects are not as the topology in force asks (podnetctl diff)", "podnetd runs, but its last pass is not of the last 3 resyncs"}
	s.LastPass.Created, s.LastPass.Failed = 1, 2
	s.Plugins.Foreign = []string{"bridge"}
	s.Conditions = append(s.Conditions, document.Condition{Type: document.Degraded, Status: "True", Message: "create route 10.244.42.0/24: no buffer space available"})
	return s
}

func TestStatusScreens(t *testing.T) {
	for name, s := range map[string]Status{
		"status": healthy(), "status-refused": refused(), "status-unattended": unattended(), "status-drift": drifting(),
		"status-nothing": {NodeStatus: &document.NodeStatus{}, Pods: -1, ConflistPath: "/etc/cni/net.d/10-podnet.conflist",
			NoDaemon: "NOT RUNNING since boot or teardown: nothing heals this (journalctl -u podnetd)",
			Answer:   []string{"no topology at /etc/podnet/topology.yaml (put it there)"}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteStatus(&b, Style{}, s); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.String())
			checkLines(t, b.String())
		})
	}
}

func TestPlugins(t *testing.T) {
	for want, p := range map[string]Plugins{
		"plugins podnet 1.0.2": {Versions: []string{"1.0.2"}},
		"plugins podnet's":     {},
		"plugins of several versions: podnet 1.0.1, 1.0.2 (podnetctl install)": {Versions: []string{"1.0.1", "1.0.2"}},
		"plugins that cannot be executed: chmod a+x /opt/cni/bin/bridge /opt/cni/bin/portmap": {
			Locked: []string{"/opt/cni/bin/bridge", "/opt/cni/bin/portmap"}, Foreign: []string{"loopback"}, Versions: []string{"1.0.2"}},
		"plugins missing: bridge (podnetctl install); looked in /usr/lib/cni": {Missing: []string{"bridge"}, Where: "/usr/lib/cni"},
		"where the runtime looks for plugins is not known":                    {Unknown: true},
	} {
		got, bad := (&statusView{Status: Status{Plugins: p}}).plugins()
		if got != want || bad != (len(p.Locked)+len(p.Missing) > 0 || p.Unknown) {
			t.Errorf("%q, bad %v; want %q", got, bad, want)
		}
	}
}

func TestTeardownScreen(t *testing.T) {
	c := &cluster{nodes: upTo(20)}
	p := plan(t, c, c, nil)
	live := &state.Live{Set: *p.Want}
	v := reconcile.View{Topology: &schema.Topology{}, Node: p.Node, Want: &state.Set{}}
	var b bytes.Buffer
	err := WriteTeardown(&b, Style{}, Teardown{
		Plan: reconcile.NewPlan(v, live), Pods: 3, Planned: true, Directories: []string{"/var/lib/podnet", "/run/podnet"},
		Stays: "net/ipv4/ip_forward",
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "teardown", b.String())
	checkLines(t, b.String())
}

func TestDesiredScreen(t *testing.T) {
	var b bytes.Buffer
	err := WriteDesired(&b, Style{}, Desired{
		Node: self, Topology: File{Path: inPlace, Digest: "sha256:4c1d07aa93f2ee"}, MTU: 1450, Assumed: []string{"an underlay MTU of 1500"},
		ConflistPath: "/etc/cni/net.d/10-podnet.conflist", Conflist: "{}\n",
		Objects: []Object{{"link", "cni0", "bridge mtu 1450"}, {"sysctl", "net/ipv4/ip_forward", "= 1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "desired", b.String())
	checkLines(t, b.String())
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 4 * time.Second: "4s", 119 * time.Second: "119s", 6 * time.Minute: "6m", 3 * time.Hour: "3h", 12 * 24 * time.Hour: "12d",
	} {
		if got := Age(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
