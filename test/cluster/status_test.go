package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// statusFields is the NodeStatus of cmd/podnetctl/DOCUMENTS.md, written down by hand: a field that
// is lost shows.
var statusFields = map[string][]string{
	"": {"apiVersion", "kind", "node", "ip", "podCIDRs", "mtu", "version", "bootID", "writtenAt", "daemon", "topology", "inSync",
		"peers", "addresses", "resources", "lastPass", "healedTotal", "lastHealed", "conditions"},
	"daemon":   {"pid", "startedAt", "resyncSeconds"},
	"topology": {"path", "digest", "origin", "loadedAt", "onDisk"},
	"lastPass": {"at", "durationSeconds", "created", "updated", "deleted", "failed"},
}

func TestStatusJSON(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b", "node-c")
	n := l.Nodes[0]
	daemon := n.Restart()
	n.Pod("web")
	n.Pod("db")
	daemon.Signal(syscall.SIGHUP) // a pod that comes is no reason for a pass by itself
	lab.Eventually(t, lab.Patience, "the pods' addresses counted", func() error {
		text, err := n.ReadFile(lab.StatusPath)
		if err != nil {
			return err
		}
		var s struct {
			Addresses map[string]struct{ Used, Total int64 }
		}
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return err
		}
		if a := s.Addresses["ipv4"]; a.Used != 2 || a.Total != 253 {
			return fmt.Errorf("ipv4 addresses %+v, want 2 of 253", a)
		}
		if a := s.Addresses["ipv6"]; a.Used != 2 || a.Total != 1<<53-1 {
			return fmt.Errorf("ipv6 addresses %+v, want 2 of 2^53-1", a)
		}
		return nil
	})

	fromFile, err := n.ReadFile(lab.StatusPath)
	if err != nil {
		t.Fatal(err)
	}
	out := n.Podnetctl("status", "-o", "json")
	exits(t, out, 0, "status -o json")
	for source, text := range map[string]string{"status.json": fromFile, "podnetctl status -o json": out.Stdout} {
		var raw map[string]any
		if err := json.Unmarshal([]byte(text), &raw); err != nil {
			t.Errorf("%s: %v\n%s", source, err, text)
			continue
		}
		for _, list := range []string{"podCIDRs", "lastHealed", "conditions"} {
			if _, ok := raw[list].([]any); !ok {
				t.Errorf("%s: %s is %v, not a list", source, list, raw[list])
			}
		}
		for part, fields := range statusFields {
			object := raw
			if part != "" {
				object, _ = raw[part].(map[string]any)
			}
			for _, field := range fields {
				if _, ok := object[field]; !ok {
					t.Errorf("%s: no %s in %q: %v", source, field, part, slices.Sorted(maps.Keys(object)))
				}
			}
		}
		for field, want := range map[string]any{
			"apiVersion": "podnet.dev/v1alpha1", "kind": "NodeStatus", "node": "node-a", "ip": n.IP4, "mtu": 1450.0, "inSync": true, "peers": 2.0,
		} {
			if raw[field] != want {
				t.Errorf("%s: %s is %v, want %v", source, field, raw[field], want)
			}
		}
		if in, _ := raw["topology"].(map[string]any); in["digest"] != lab.Digest(topology.String()) || in["origin"] != "file" {
			t.Errorf("%s: topology %v, want digest %s", source, in, lab.Digest(topology.String()))
		}
	}
	s, err := n.Status()
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{"Ready": "True", "Degraded": "False", "StaleTopology": "False", "Conflict": "False"} {
		if c := s.Condition(kind); c.Status != want {
			t.Errorf("condition %s is %+v, want %s", kind, c, want)
		}
	}
	for kind, want := range map[string]int{"neigh": 4, "fdb": 2, "route": 4} {
		if s.Resources[kind] != want {
			t.Errorf("%d resources %s, want %d", s.Resources[kind], kind, want)
		}
	}
}

func TestStatusExitCodes(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	exits(t, n.Podnetctl("status"), 0, "status")
	exits(t, n.Podnetctl("status", "--wait", "10s", "--digest", lab.Digest(topology.String())), 0, "status --digest of the file in force")
	exits(t, n.Podnetctl("status", "--digest", lab.Digest("another")), 1, "status --digest of another file")
	n.Stop()
	exits(t, n.Podnetctl("status"), 1, "status without a daemon")
	n.Sh("ip route del " + lab.PodCIDR4(1))
	out := n.Podnetctl("status")
	exits(t, out, 1, "status of a node that is not in sync")
	if !strings.Contains(out.Stdout, "NOT IN SYNC") {
		t.Errorf("status does not say NOT IN SYNC:\n%s", out.Stdout)
	}
}

func TestEndpoints(t *testing.T) {
	const metrics = "127.0.0.1:9472"
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		status, body, err := n.Get(t.Context(), metrics, path)
		if err != nil || status != 200 {
			t.Errorf("%s: %d, %v", path, status, err)
		}
		if path == "/metrics" && !strings.Contains(body, "podnet_") {
			t.Errorf("no metric of podnet:\n%.1000s", body)
		}
	}

	// Not ready while something keeps the network from being as desired: somebody else's device of
	// our name.
	n.Stop()
	n.Sh("ip link del podnet.1")
	n.Sh("ip link add podnet.1 type veth peer name other")
	n.Start()
	lab.Eventually(t, lab.Patience, "not ready", func() error {
		status, _, err := n.Get(t.Context(), metrics, "/readyz")
		if err == nil && status != 503 {
			err = fmt.Errorf("/readyz: %d, want 503", status)
		}
		return err
	})
	if status, _, err := n.Get(t.Context(), metrics, "/healthz"); err != nil || status != 200 {
		t.Errorf("/healthz: %d, %v; the loop turns all the same", status, err)
	}
	n.Sh("ip link del podnet.1")
	lab.Eventually(t, lab.Patience, "healed", func() error { return n.CheckPeers(topology) })

	n.Stop()
	n.Start("--metrics-addr", "")
	if _, _, err := n.Get(t.Context(), metrics, "/healthz"); err == nil {
		t.Error("--metrics-addr \"\" leaves something listening")
	}
}

// Another program on the port costs the metrics, not the network.
func TestMetricsPortTaken(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	var taken net.Listener
	err := n.Do(func() (err error) {
		taken, err = net.Listen("tcp", "127.0.0.1:9472")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d := n.Start()
	n.AwaitInForce()
	if err := n.CheckPeers(topology); err != nil {
		t.Error(err)
	}
	lab.Eventually(t, lab.Patience, "a word about the port", func() error {
		if !strings.Contains(d.Log(), "9472") {
			return fmt.Errorf("not in the log:\n%s", d.Log())
		}
		return nil
	})
}
