package rollout

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
)

const twoNodes = `apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: lab, nodeCount: 2}
nodes:
- {name: a, ip: 192.0.2.1, podCIDRs: [10.244.0.0/24]}
` + nodeB

const nodeB = "- {name: b, ip: 192.0.2.2, podCIDRs: [10.244.1.0/24]}\n"

// step is what happens to the file before a decision, and what the decision then has to be.
type step struct {
	name     string
	file     string // its new content; "-": it is removed
	restart  bool
	follows  string // the name of the topology in force; "": none
	origin   string
	reason   string
	messages []string
}

func TestJudge(t *testing.T) {
	moved := strings.Replace(twoNodes, "192.0.2.2", "192.0.2.9", 1)
	for _, steps := range [][]step{
		{
			{name: "missing at start", file: "-", reason: ReasonMissing, messages: []string{"topology.yaml", "put the topology there"}},
			{name: "appears", file: twoNodes, follows: "192.0.2.2", origin: OriginFile},
			{name: "changes", file: moved, follows: "192.0.2.9", origin: OriginFile},
			{name: "cut in half", file: twoNodes[:150], follows: "192.0.2.9", origin: OriginLastGood, reason: ReasonInvalid, messages: []string{"topology.yaml:3:", "cut off"}},
			{name: "over a restart", file: twoNodes[:150], restart: true, follows: "192.0.2.9", origin: OriginLastGood, reason: ReasonInvalid},
			{name: "cut between two nodes", file: strings.TrimSuffix(twoNodes, nodeB), follows: "192.0.2.9", origin: OriginLastGood, reason: ReasonInvalid, messages: []string{"says 2 nodes, the file holds 1"}},
			{name: "removed", file: "-", follows: "192.0.2.9", origin: OriginLastGood, reason: ReasonMissing},
			{name: "good again", file: moved, follows: "192.0.2.9", origin: OriginFile},
			{name: "this node left out", file: strings.Replace(twoNodes, "name: a", "name: c", 1), follows: "192.0.2.9", origin: OriginLastGood,
				reason: ReasonNoEntry, messages: []string{"no entry named a", "--node"}},
			{name: "and good again", file: twoNodes, follows: "192.0.2.2", origin: OriginFile},
		},
		{
			{name: "bad at start", file: "nodes: {\n", reason: ReasonInvalid, messages: []string{"topology.yaml:"}},
			{name: "empty", file: "", reason: ReasonInvalid},
		},
	} {
		paths := state.DefaultPaths(t.TempDir())
		source := NewSource(paths, nil)
		for _, s := range steps {
			put(t, paths.Topology, s.file)
			if s.restart {
				source = NewSource(paths, nil)
			}
			v := source.Judge(reconcile.Identity{Node: "a"})
			if err := source.Keep(&v); err != nil {
				t.Fatal(err)
			}
			check(t, s, v)
		}
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	var err error
	if content == "-" {
		if err = os.Remove(path); os.IsNotExist(err) {
			err = nil
		}
	} else {
		err = files.ReplaceFile(path, []byte(content), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, s step, v Decision) {
	t.Helper()
	follows := ""
	if v.Topology != nil {
		follows = v.Topology.Nodes[1].IP.String()
	}
	if follows != s.follows || s.follows != "" && v.Origin != s.origin || v.OnDisk.Reason != s.reason || v.OnDisk.Accepted != (s.reason == "") {
		t.Errorf("%s: follows %q of %s, on disk %+v", s.name, follows, v.Origin, v.OnDisk)
	}
	for _, m := range s.messages {
		if !strings.Contains(v.OnDisk.Message, m) {
			t.Errorf("%s: the message lacks %q: %s", s.name, m, v.OnDisk.Message)
		}
	}
	if want := s.reason != ReasonMissing; (v.OnDisk.Digest != "") != want {
		t.Errorf("%s: digest %q", s.name, v.OnDisk.Digest)
	}
}

// The file is parsed once for each change of its content, and nothing of older contents is kept.
func TestSourceRemembersTwo(t *testing.T) {
	paths := state.DefaultPaths(t.TempDir())
	source := NewSource(paths, nil)
	var last *schema.Topology
	for i := range 10 {
		put(t, paths.Topology, strings.Replace(twoNodes, "192.0.2.2", netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 10)}).String(), 1))
		v := source.Judge(reconcile.Identity{Node: "a"})
		again := source.Judge(reconcile.Identity{Node: "a"})
		if v.Topology == last || v.Topology != again.Topology {
			t.Error("parsed again without a change, or not parsed with one")
		}
		if last = v.Topology; len(source.parsed) > 2 {
			t.Errorf("%d topologies in memory", len(source.parsed))
		}
		if err := source.Keep(&v); err != nil {
			t.Fatal(err)
		}
	}
}

// A file that is cut between two entries is known by its nodeCount, and the guard tells what is
// missing.
func TestJudgeTellsWhatIsMissing(t *testing.T) {
	const nodeC = "- {name: c, ip: 192.0.2.3, podCIDRs: [10.244.2.0/24]}\n"
	whole := strings.Replace(twoNodes, "nodeCount: 2", "nodeCount: 3", 1) + nodeC
	paths := state.DefaultPaths(t.TempDir())
	source := NewSource(paths, nil)
	put(t, paths.LastGood, whole)
	put(t, paths.Topology, strings.TrimSuffix(whole, nodeB+nodeC))
	check(t, step{name: "cut", follows: "192.0.2.2", origin: OriginLastGood, reason: ReasonGuard, messages: []string{
		"drops 2 of 2 peers, none named in removedNodes: b, c (limit 1)", "metadata.nodeCount says 3 nodes, the file holds 1: it was probably cut off",
		"or, once nodeCount says 1, if they really leave",
	}}, source.Judge(reconcile.Identity{Node: "a"}))
	if v := source.Overrule(reconcile.Identity{Node: "a"}); v.OnDisk.Accepted {
		t.Error("a file with the wrong nodeCount was accepted")
	}
}

// A last good topology that is torn is not followed, and named where it would be needed; a good
// file takes its place.
func TestTornLastGood(t *testing.T) {
	paths := state.DefaultPaths(t.TempDir())
	source := NewSource(paths, nil)
	put(t, paths.LastGood, twoNodes[:150])
	put(t, paths.Topology, twoNodes[:100])
	check(t, step{name: "both torn", reason: ReasonInvalid, messages: []string{"topology.yaml:", "the last good one is of no use", "last-good.yaml:"}}, source.Judge(reconcile.Identity{Node: "a"}))
	put(t, paths.Topology, twoNodes)
	v := source.Judge(reconcile.Identity{Node: "a"})
	check(t, step{name: "a good file", follows: "192.0.2.2", origin: OriginFile}, v)
	if err := source.Keep(&v); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(paths.LastGood); err != nil || string(data) != twoNodes {
		t.Errorf("%q, %v", data, err)
	}
}

func TestKeepFails(t *testing.T) {
	paths := state.DefaultPaths(t.TempDir())
	put(t, paths.Topology, twoNodes)
	paths.LastGood = filepath.Join(paths.Topology, "below-a-file")
	source := NewSource(paths, nil)
	v := source.Judge(reconcile.Identity{Node: "a"})
	if err := source.Keep(&v); err == nil {
		t.Error("no error")
	}
}

func TestSelect(t *testing.T) {
	topology, err := schema.Parse("topology.yaml", []byte(twoNodes))
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	for _, test := range []struct {
		name string
		id   reconcile.Identity
		want string // an entry, or a part of the error
	}{
		{"told", reconcile.Identity{Node: "b", Hostname: "a", Addrs: []netip.Addr{a}}, "b"},
		{"told wrong", reconcile.Identity{Node: "x", Hostname: "a"}, "no entry named x"},
		{"host name", reconcile.Identity{Hostname: "a"}, "a"},
		{"first label", reconcile.Identity{Hostname: "b.example.net"}, "b"},
		{"host name and address", reconcile.Identity{Hostname: "a", Addrs: []netip.Addr{c, a}}, "a"},
		{"address", reconcile.Identity{Hostname: "x", Addrs: []netip.Addr{c, b}}, "b"},
		{"name and address disagree", reconcile.Identity{Hostname: "a", Addrs: []netip.Addr{b}}, "called a but has the address 192.0.2.2 of b"},
		{"two addresses", reconcile.Identity{Hostname: "x", Addrs: []netip.Addr{a, b}}, "addresses of 2 entries"},
		{"nothing fits", reconcile.Identity{Hostname: "x", Addrs: []netip.Addr{c}}, "no entry for this node"},
	} {
		n, err := test.id.Select(topology)
		switch {
		case err == nil && n.Name != test.want, err != nil && !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, %v", test.name, n, err)
		}
	}
}
