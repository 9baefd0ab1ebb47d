package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/podnet/podnet/schema"
)

// planOf is what diff prints on a node.
func planOf(node, digest, rest string) string {
	return fmt.Sprintf(`{"apiVersion":"podnet.dev/v1alpha1","kind":"Plan","node":%q,"proposed":{"digest":%q},%s}`, node, digest, rest)
}

// TestFleetScreen is the screen of plans, as the screens' page has it.
func TestFleetScreen(t *testing.T) {
	dir := t.TempDir()
	text := "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata: {name: lab}\nnodes:\n"
	for i := range 201 {
		text += fmt.Sprintf("- {name: node-%03d, ip: 192.0.2.%d, podCIDRs: [10.244.%d.0/24]}\n", i+1, i+11, i)
	}
	file, digest := write(t, dir+"/topology.yaml", text), schema.Digest([]byte(text))
	for i := range 200 {
		name := fmt.Sprintf("node-%03d", i+1)
		write(t, dir+"/plans/"+name+".json", planOf(name, digest, `"inForce":{"digest":"x"},"summary":{"peers":{"added":1},"objects":{"create":3}}`))
	}
	write(t, dir+"/plans/node-201.json", planOf("node-201", digest, `"summary":{"peers":{"added":200},"objects":{"create":612}}`))
	want := fmt.Sprintf(`200 nodes  +1 peer (3 objects)        impact none    node-001 .. node-200
  1 node   first apply, 612 objects   impact none    node-201
  0 nodes  missing, 0 refused by the guard           all from %s
`, digest[:19])
	if got := podnetctl("", "fleet", "-f", file, dir+"/plans"); got.stdout != want || got.code != 1 || got.stderr != "" {
		t.Errorf("exit code %d, %s\n%s\nwant\n%s", got.code, got.stderr, got.stdout, want)
	}
	if err := os.Remove(dir + "/plans/node-007.json"); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Kind     string
		Expected struct {
			Digest string
			Nodes  int
		}
		Missing []string
	}
	got := podnetctl("", "fleet", "-f", file, "-o", "json", dir+"/plans")
	if err := json.Unmarshal([]byte(got.stdout), &doc); err != nil || doc.Kind != "FleetStatus" || doc.Expected.Nodes != 201 || doc.Expected.Digest != digest ||
		len(doc.Missing) != 1 || doc.Missing[0] != "node-007" || got.code != 1 {
		t.Errorf("%v, %d, %+v", err, got.code, doc)
	}
	if page := podnetctl("", "fleet", "-f", file, "-o", "html", dir+"/plans"); page.code != 1 || !strings.HasPrefix(page.stdout, "<!DOCTYPE html>") {
		t.Errorf("exit code %d: %.100s", page.code, page.stdout)
	}
}

func TestFleetAnswers(t *testing.T) {
	dir := t.TempDir()
	digest := "sha256:" + strings.Repeat("a", 64)
	well := write(t, dir+"/a/node-a.json", fmt.Sprintf(`{"apiVersion":"podnet.dev/v1alpha1","kind":"NodeStatus","node":"node-a","mtu":1450,"daemon":{"pid":1},
		"topology":{"digest":%q,"onDisk":{"accepted":true}},"inSync":true}`, digest))
	ill := write(t, dir+"/b/node-b.json", fmt.Sprintf(`{"apiVersion":"podnet.dev/v1alpha1","kind":"NodeStatus","node":"node-b","mtu":1400,"daemon":{"pid":1},
		"topology":{"digest":%q,"onDisk":{"accepted":false,"reason":"RemovalGuard","message":"too many leave"}},"inSync":true}`, digest))
	empty := write(t, dir+"/c/node-c.json", "\n")
	bad := write(t, dir+"/bad.yaml", invalid)
	file, none := write(t, dir+"/topology.yaml", valid), t.TempDir()
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{none, 2, "holds no file that ends in .json"},
		{"-f " + file + " " + none, 1, "2 nodes  missing                           node-a, node-b"},
		{"-f " + file + " -o json " + none, 1, `"missing": [
    "node-a",
    "node-b"
  ]`},
		{"-f " + file + " -o html " + none, 1, "0 of 2 nodes in sync, 2 missing"},
		{"-f " + file + " " + well + " " + none, 1, "missing                           node-b"},
		{well, 0, "  1 node   IN SYNC      sha256:aaaaaaaaaaaa  node-a\n  0 nodes  missing                           all on sha256:aaaaaaaaaaaa"},
		{"--expect-digest " + strings.Repeat("a", 64) + " " + well, 0, "IN SYNC"},
		{"--expect-digest " + strings.Repeat("b", 64) + " " + well, 1, "another file than expected"},
		{"--expect-digest bb " + well, 2, `"bb" for "--expect-digest" flag: write the 64 hex digits`},
		{well + " " + ill, 1, "           StaleTopology RemovalGuard: too many leave"},
		{well + " " + ill, 1, "  2 MTUs   1450 on node-a; 1400 on node-b (large packets"},
		{"-f " + bad + " " + well, 1, "nodes[1].ip"},
		{well + " " + empty + " " + bad, 2, "node-c.json is empty"},
		{dir, 2, "holds no file that ends in .json"},
		{dir + "/none", 2, "no such file"},
		{"", 2, "write podnetctl fleet FILE|DIR..."},
		{"-o html " + well, 0, "1 of 1 nodes in sync"},
	} {
		got := podnetctl("", append([]string{"fleet"}, strings.Fields(c.args)...)...)
		if got.code != c.code || !strings.Contains(got.stdout+got.stderr, c.says) {
			t.Errorf("fleet %s: exit code %d, want %d, saying %q:\n%s%s", c.args, got.code, c.code, c.says, got.stdout, got.stderr)
		}
	}
	if got := podnetctl("", "status", "-o", "html"); got.code != 2 || !strings.Contains(got.stderr, "text or json") {
		t.Errorf("status: %+v", got)
	}
}
