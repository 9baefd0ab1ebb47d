// Package monitoring holds the metrics, the alert rules and the dashboard against a real daemon and
// Prometheus' own tool.
package monitoring

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Isolate(m, "podnetd", "podnetctl", "cni/bridge", "cni/host-local", "cni/loopback"))
}

// promtool runs Prometheus' tool; what it has to say fails the test.
func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (apt-get install --no-install-recommends prometheus)")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// scrape is what Prometheus would read.
func scrape(t *testing.T, n *lab.Node) string {
	t.Helper()
	status, body, err := n.Get(t.Context(), "127.0.0.1:9472", "/metrics")
	if err != nil || status != 200 {
		t.Fatalf("/metrics: %d, %v", status, err)
	}
	return body
}

// await scrapes until a line is there.
func await(t *testing.T, n *lab.Node, line string) string {
	t.Helper()
	body := ""
	lab.Eventually(t, lab.Patience, line, func() error {
		body = scrape(t, n)
		if !strings.Contains("\n"+body, "\n"+line+"\n") {
			return fmt.Errorf("not in:\n%s", ofPodnet(body))
		}
		return nil
	})
	return body
}

// ofPodnet leaves the figures of the Go runtime out.
func ofPodnet(body string) string {
	var lines []string
	for _, line := range strings.Split(body, "\n") {
		if strings.HasPrefix(line, "podnet_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// without asserts that no line of a scrape begins so.
func without(t *testing.T, body, begin string) {
	t.Helper()
	if strings.Contains("\n"+body, "\n"+begin) {
		t.Errorf("there is %q in:\n%s", begin, ofPodnet(body))
	}
}

// one is a converged node with a peer and one pod.
func one(t *testing.T) (*lab.Node, lab.Topology) {
	t.Helper()
	l := lab.New(t)
	n := l.Node("node-a")
	l.Node("node-b")
	topology := l.Topology()
	n.Write(topology.String())
	n.Start("--resync", "1s")
	n.AwaitInForce()
	return n, topology
}

// A day in the life of a node, as its metrics tell it.
func TestMetricsTellTheStory(t *testing.T) {
	n, topology := one(t)
	pod := n.Pod("web")
	defer func() { _ = pod.Del() }()
	body := await(t, n, `podnet_addresses_used{family="ipv4"} 1`)
	digest := lab.Digest(topology.String())
	for _, line := range []string{
		`podnet_in_sync 1`, `podnet_peers 1`, `podnet_contended_objects 0`, `podnet_netlink_overruns_total 0`,
		`podnet_trial_deadline_timestamp_seconds 0`,
		`podnet_topology_info{digest="` + digest + `",origin="file"} 1`,
		`podnet_condition{type="Ready"} 1`, `podnet_condition{type="StaleTopology"} 0`,
		`podnet_objects{kind="route",state="desired"} 2`, `podnet_objects{kind="route",state="missing"} 0`,
		`podnet_objects{kind="route",state="foreign"} 0`, `podnet_healed_total{kind="route"} 0`,
		`podnet_addresses_capacity{family="ipv4"} 253`, `podnet_addresses_used{family="ipv6"} 1`,
		`podnet_link_mtu_bytes{link="pod"} 1450`, `podnet_link_mtu_bytes{link="underlay"} 1500`,
		`podnet_passes_total{result="failed"} 0`,
	} {
		if !strings.Contains("\n"+body, "\n"+line+"\n") {
			t.Errorf("no %s in:\n%s", line, ofPodnet(body))
		}
	}
	without(t, body, "podnet_topology_rejected{")
	promtool(t, body, "check", "metrics")

	n.Sh("ip route del " + lab.PodCIDR4(1))
	await(t, n, `podnet_healed_total{kind="route"} 1`)

	n.Write(topology.String() + "nonsense: true\n")
	body = await(t, n, `podnet_topology_rejected{reason="Invalid"} 1`)
	for _, line := range []string{`podnet_topology_info{digest="` + digest + `",origin="last-good"} 1`, `podnet_in_sync 1`} {
		if !strings.Contains(body, line) {
			t.Errorf("no %s in:\n%s", line, ofPodnet(body))
		}
	}
	without(t, body, `podnet_topology_info{digest="`+digest+`",origin="file"}`)
	n.Write(topology.String())
	await(t, n, `podnet_topology_info{digest="`+digest+`",origin="file"} 1`)
	without(t, scrape(t, n), "podnet_topology_rejected{")
}

// A topology on trial shows as that, with the time of its end.
func TestTrialShowsItsDeadline(t *testing.T) {
	n, topology := one(t)
	topology.Removed = []string{"node-z"}
	n.WriteFile("/etc/podnet/next.yaml", topology.String())
	if out := n.Podnetctl("apply", "--confirm", "1h", n.Path("/etc/podnet/next.yaml")); out.Code != 0 {
		t.Fatalf("apply --confirm: %+v", out)
	}
	await(t, n, `podnet_condition{type="ConfirmPending"} 1`)
	without(t, scrape(t, n), "podnet_trial_deadline_timestamp_seconds 0")
	if out := n.Podnetctl("confirm"); out.Code != 0 {
		t.Fatalf("confirm: %+v", out)
	}
	await(t, n, "podnet_trial_deadline_timestamp_seconds 0")
}

// Somebody else's device in the way is counted as that, and what cannot be made for it as missing.
func TestForeignAndMissingObjects(t *testing.T) {
	n, _ := one(t)
	n.Stop()
	n.Sh("ip link del podnet.1")
	n.Sh("ip link add podnet.1 type veth peer name other")
	n.Start("--resync", "1s")
	await(t, n, `podnet_in_sync 0`)
	body := await(t, n, `podnet_objects{kind="link",state="foreign"} 1`)
	without(t, body, `podnet_objects{kind="route",state="missing"} 0`)
	without(t, body, `podnet_passes_total{result="failed"} 0`)
	promtool(t, body, "check", "metrics")
}

// A fleet of 10,000 nodes has 10,000 peers on each: no series for each.
func TestNoSeriesForEachPeer(t *testing.T) {
	n, topology := one(t)
	series := strings.Count(ofPodnet(await(t, n, "podnet_in_sync 1")), "\n")
	for i := range 200 {
		topology.Nodes = append(topology.Nodes, lab.Entry{
			Name: fmt.Sprintf("peer-%d", i), IP: fmt.Sprintf("198.51.100.%d", i+1), PodCIDRs: []string{lab.PodCIDR4(i + 2), lab.PodCIDR6(i + 2)},
		})
	}
	n.Write(topology.String())
	body := await(t, n, "podnet_peers 201")
	if now := strings.Count(ofPodnet(body), "\n"); now != series {
		t.Errorf("%d series with 201 peers, %d with one:\n%s", now, series, ofPodnet(body))
	}
}
