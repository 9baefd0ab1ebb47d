package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/test/lab"
)

// fleet is a topology of so many nodes, node-a the first, whose podCIDRs begin at a number.
func fleet(nodes, first int) string {
	text := fmt.Sprintf("apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata: {name: lab, nodeCount: %d}\nnodes:\n", nodes)
	for i := range nodes {
		text += fmt.Sprintf("- {name: node-%c, ip: 192.0.2.%d, podCIDRs: [10.244.%d.0/24]}\n", 'a'+i, 11+i, first+i)
	}
	return text
}

func TestValidateAgainst(t *testing.T) {
	dir := t.TempDir()
	before, cut := write(t, dir+"/before.yaml", fleet(20, 0)), write(t, dir+"/cut.yaml", fleet(10, 0))
	for _, c := range []struct {
		name       string
		against    string
		file       string
		code       int
		says, note string
	}{
		{"the same", before, before, 0, "Guard     passes: 0 of 19 peers disrupted (limit 10 %)", ""},
		{"half", before, cut, 1, "Guard     REFUSES: drops 10 of 19 peers, none named in removedNodes: node-k .. node-t (limit 2)", ""},
		{"all shifted", before, write(t, dir+"/shifted.yaml", fleet(20, 1)), 1, "this node", ""},
		{"nothing to compare with", dir + "/none.yaml", cut, 0, "0 errors", "there is no " + dir + "/none.yaml"},
		{"something else to compare with", write(t, dir+"/torn.yaml", "nodes: ["), cut, 0, "0 errors", "the guard did not run: "},
		{"an invalid file", before, write(t, dir+"/bad.yaml", invalid), 1, "192.0.2.300", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := podnetctl("", "validate", "--node", "node-a", "--against", c.against, c.file)
			if got.code != c.code || !strings.Contains(got.stdout, c.says) || (got.stderr == "") != (c.note == "") || !strings.Contains(got.stderr, c.note) {
				t.Errorf("exit code %d, want %d:\n%s%s", got.code, c.code, got.stdout, got.stderr)
			}
		})
	}
	if got := podnetctl(fleet(20, 0), "validate", "--against", "-", cut); got.code != 1 || !strings.Contains(got.stdout, "REFUSES") || got.stderr != "" {
		t.Errorf("against standard input: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	for _, args := range [][]string{{"-"}, {"-f", "-"}} {
		got := podnetctl(fleet(20, 0), append([]string{"validate", "--against", "-"}, args...)...)
		if got.code != 2 || got.stdout != "" || !strings.Contains(got.stderr, "both standard input") {
			t.Errorf("standard input against itself: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
	}
	var v document.Validation
	got := podnetctl("", "validate", "-o", "json", "--against", before, cut)
	if err := json.Unmarshal([]byte(got.stdout), &v); err != nil || got.code != 1 || !v.Valid || v.Guard == nil || v.Guard.Passes || v.Guard.Message == "" {
		t.Errorf("%v, exit code %d: %s", err, got.code, got.stdout)
	}
	if got := podnetctl(fleet(2, 0), "validate", "-o", "json", "-"); strings.Contains(got.stdout, "guard") {
		t.Errorf("a guard that was not asked for:\n%s", got.stdout)
	}
}

// What the guard refuses changes nothing, and every verb says so in its way; --allow-disruption has
// the last word.
func TestRefusedFile(t *testing.T) {
	h := newHost(t)
	h.runWith(fleet(20, 0), 0, "apply", "-")
	before, lastGood := h.State(), lab.Digest(fleet(20, 0))
	cut := write(t, h.Path("/cut.yaml"), fleet(10, 0))
	for _, verb := range []string{"diff", "apply"} {
		if got := h.run(1, verb, cut); !strings.Contains(got.stdout, "REFUSES: drops 10 of 19 peers") || !strings.Contains(got.stdout, "--allow-disruption "+cut) {
			t.Errorf("%s says\n%s", verb, got.stdout)
		}
		var v document.Validation
		if err := json.Unmarshal([]byte(h.run(1, verb, "-o", "json", cut).stdout), &v); err != nil || v.Kind != "Validation" ||
			v.Guard == nil || v.Guard.Passes || !strings.HasSuffix(v.Guard.Message, "--allow-disruption "+cut+")") {
			t.Errorf("%s: %v, %+v", verb, err, v)
		}
	}
	h.Write(fleet(10, 0)) // by somebody who does not ask
	h.run(1, "apply")
	got := h.run(1, "status")
	for _, says := range []string{"StaleTopology  RemovalGuard", "10 nodes,", "20 nodes", "drops 10 of 19 peers", "cut off", "removedNodes"} {
		if !strings.Contains(got.stdout, says) {
			t.Errorf("status lacks %q:\n%s", says, got.stdout)
		}
	}
	if err := lab.SameState(before, h.State()); err != nil {
		t.Error(err)
	}
	if kept, err := h.ReadFile(lab.LastGoodPath); err != nil || lab.Digest(kept) != lastGood {
		t.Errorf("last-good has changed, %v", err)
	}

	var p document.Plan
	if err := json.Unmarshal([]byte(h.run(0, "apply", "--allow-disruption", "-o", "json").stdout), &p); err != nil || !p.InSync || p.Guard == nil || p.Guard.Passes {
		t.Errorf("%v, %+v", err, p.Guard)
	}
	if kept, err := h.ReadFile(lab.LastGoodPath); err != nil || kept != fleet(10, 0) {
		t.Errorf("last-good is not the file that was accepted, %v", err)
	}
	h.run(0, "diff")
	h.runWith(fleet(2, 0), 1, "apply", "-")
	if got := h.runWith(fleet(2, 0), 0, "apply", "--allow-disruption", "-"); !strings.Contains(got.stdout, "Guard     overruled: drops") || strings.Contains(got.stdout, "To go on") {
		t.Errorf("apply says\n%s", got.stdout)
	}
	if got := h.runWith(fleet(3, 0), 1, "diff", "-"); !strings.Contains(got.stdout, "Guard     passes: 0 of 1 peer disrupted") {
		t.Errorf("diff says\n%s", got.stdout)
	}
}

// An apply whose topology cannot be kept changes nothing, be there a file before or not.
func TestApplyThatCannotBeKept(t *testing.T) {
	h := newHost(t)
	blocked := h.Path("/var/lib/podnet/.last-good.yaml.new")
	block := func() {
		if err := os.MkdirAll(blocked, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	refuses := func(file string) {
		t.Helper()
		before, files := h.State(), h.Files()
		got := h.runWith(file, 2, "apply", "--allow-disruption", "-")
		for _, says := range []string{blocked, "nothing has changed", "make that writable"} {
			if !strings.Contains(got.stderr, says) {
				t.Errorf("apply lacks %q: %s", says, got.stderr)
			}
		}
		if err := lab.SameState(before, h.State()); err != nil {
			t.Error(err)
		}
		after := h.Files()
		delete(files, "/run/podnet/lock")
		delete(after, "/run/podnet/lock")
		if !maps.Equal(files, after) {
			t.Errorf("files before\n%v\nand after\n%v", files, after)
		}
	}
	block()
	refuses(fleet(20, 0))
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	h.runWith(fleet(20, 0), 0, "apply", "-")
	block()
	refuses(fleet(10, 0))
	h.run(0, "diff")
	if got := h.run(1, "status"); strings.Contains(got.stdout, "StaleTopology") {
		t.Errorf("status says\n%s", got.stdout)
	}
}

// A node that has lost the topology in force still knows its peers: the kernel does.
func TestGuardWithoutLastGood(t *testing.T) {
	h := newHost(t)
	h.runWith(fleet(20, 0), 0, "apply", "-")
	before := h.State()
	if err := os.RemoveAll(h.Path("/var/lib/podnet")); err != nil {
		t.Fatal(err)
	}
	h.Write(fleet(5, 0))
	if got := h.run(1, "apply"); !strings.Contains(got.stdout, "drops 15 of 19 peers, none named in removedNodes: 192.0.2.16 .. 192.0.2.30") {
		t.Errorf("apply says\n%s", got.stdout)
	}
	var s document.NodeStatus
	if err := json.Unmarshal([]byte(h.run(1, "status", "-o", "json").stdout), &s); err != nil || s.Condition(document.StaleTopology).Reason != rollout.ReasonGuard {
		t.Errorf("%v, conditions %+v", err, s.Conditions)
	}
	if err := lab.SameState(before, h.State()); err != nil {
		t.Error(err)
	}
	h.runWith(fleet(20, 0), 0, "apply", "-")
}

// What is done about a topology that is not followed depends on why: what validate has nothing to
// say about is no remedy.
func TestDoctorOfARefusedTopology(t *testing.T) {
	h := sound(t)
	path := h.Path(lab.TopologyPath)
	remedy := func() string {
		t.Helper()
		found := h.examined(1)
		if len(found) != 1 || found[0].ID != "topology-refused" {
			t.Fatalf("%+v", found)
		}
		return found[0].Remedy
	}
	h.Write(invalid)
	if got := remedy(); got != "podnetctl validate "+path {
		t.Errorf("of an invalid one: %s", got)
	}
	h.Write(strings.Replace(valid, "name: lab", "name: other", 1))
	if got := remedy(); got != "podnetctl diff" {
		t.Errorf("of one that the guard refuses: %s", got)
	}
	next := strings.Replace(valid, "nodes:", "network: {mtu: 1400}\nnodes:", 1)
	h.Write(valid)
	h.runWith(next, 0, "apply", "--confirm", "1m", "-")
	h.run(0, "rollback")
	h.Write(next)
	got := remedy()
	if got != "podnetctl apply "+path {
		t.Fatalf("of one that was rolled back: %s", got)
	}
	h.run(0, strings.Fields(got)[1:]...)
	if found := h.examined(0); len(found) > 0 {
		t.Errorf("after the remedy: %+v", found)
	}
}
