package schema

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// TestAllocateInto writes into files of every layout that podnet knows, put together at random.
func TestAllocateInto(t *testing.T) {
	for seed := range uint64(3000) {
		g := layouts{rand.New(rand.NewPCG(seed, 0))}
		data := []byte(g.file())
		for _, ask := range []Request{{}, {Node: "new.node-1", IP: netip.MustParseAddr("192.0.2.250")}} {
			a, err := Allocate("random", data, ask)
			if err != nil {
				t.Fatalf("seed %d, %q: %v\n%s", seed, ask.Node, err, data)
			}
			checkAllocation(t, data, a, ask)
			if t.Failed() {
				t.Fatalf("seed %d, %q:\n%s\nhas become\n%s", seed, ask.Node, data, a.Text)
			}
		}
	}
}

func FuzzAllocate(f *testing.F) {
	for _, pattern := range []string{"../examples/*.yaml", "testdata/valid/*.yaml", "testdata/valid/*.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			f.Add(read(f, file), "")
		}
	}
	files, err := filepath.Glob("testdata/allocate/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data, "node-x")
	}
	f.Fuzz(func(t *testing.T, data []byte, node string) {
		ask := Request{Node: node}
		if node != "" {
			ask.IP = netip.MustParseAddr("192.0.2.250")
		}
		if a, err := Allocate("fuzz", data, ask); err == nil {
			checkAllocation(t, data, a, ask)
		}
	})
}

// checkAllocation holds an allocation against what is promised of every one.
func checkAllocation(t *testing.T, data []byte, a *Allocation, ask Request) {
	t.Helper()
	after, err := Parse("after", a.Text)
	if err != nil {
		t.Errorf("not valid: %v", err)
		return
	}
	if before, err := Parse("before", data); err == nil {
		checkRangesGiven(t, before, after, len(a.Given))
	}
	const most = 400 // an entry, its indentation and two ranges
	if !isSubsequence(withoutCount(data), a.Text) || len(a.Text) > len(data)+most*len(a.Given) {
		t.Error("more was written than there was to write")
	}
	again, err := Allocate("again", a.Text, ask)
	if err != nil || len(again.Given) > 0 || !bytes.Equal(again.Text, a.Text) {
		t.Errorf("the second time: %v, %v", again, err)
	}
}

func checkRangesGiven(t *testing.T, before, after *Topology, given int) {
	t.Helper()
	net := before.Network
	for i, n := range after.Nodes {
		if i < len(before.Nodes) && len(before.Nodes[i].PodCIDRs) > 0 {
			if !slices.Equal(before.Nodes[i].PodCIDRs, n.PodCIDRs) {
				t.Errorf("%s had %v and has %v", n.Name, before.Nodes[i].PodCIDRs, n.PodCIDRs)
			}
			continue
		}
		if len(n.PodCIDRs) > 0 {
			given--
		}
		for _, c := range n.PodCIDRs {
			if c.Addr().Is4() && c.Bits() != net.NodeCIDRMaskSizeIPv4 || c.Addr().Is6() && c.Bits() != net.NodeCIDRMaskSizeIPv6 {
				t.Errorf("%s got %v, of another size", n.Name, c)
			}
		}
	}
	if given != 0 {
		t.Errorf("%d more are said to have got podCIDRs than have", given)
	}
}

// withoutCount is a file less what may be replaced: the digits of nodeCount and blanks.
func withoutCount(data []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if strings.ContainsRune(" \t0123456789[]", r) {
			return -1
		}
		return r
	}, data)
}

func isSubsequence(part, whole []byte) bool {
	for _, c := range whole {
		if len(part) > 0 && part[0] == c {
			part = part[1:]
		}
	}
	return len(part) == 0
}

// layouts writes valid topologies in a random layout.
type layouts struct{ *rand.Rand }

func (g layouts) oneOf(all ...string) string { return all[g.IntN(len(all))] }

func (g layouts) file() string {
	n := 1 + g.IntN(4)
	eol := g.oneOf("\n", "\n", "\r\n")
	head := []string{"apiVersion: podnet.dev/v1alpha1", "kind: ClusterTopology", fmt.Sprintf("metadata: {name: lab, nodeCount: %d}", n),
		"network: {clusterCIDRs: [10.0.0.0/8, 'fd00::/16']}" + g.comment(), "# a comment", ""}
	g.Shuffle(len(head), func(i, j int) { head[i], head[j] = head[j], head[i] })
	at := g.IntN(len(head) + 1)
	lines := append(append(slices.Clone(head[:at]), g.nodes(n)...), head[at:]...)
	return strings.Join(lines, eol) + eol
}

func (g layouts) comment() string { return g.oneOf("", "", " # [{: \"it's", "   #") }

// nodes is the field with its list, in one of its layouts.
func (g layouts) nodes(n int) []string {
	indent := g.oneOf("", "", "  ", "     ")
	if g.IntN(3) > 0 {
		lines := []string{"nodes:" + g.comment()}
		for i := range n {
			lines = append(lines, g.block(indent, i)...)
		}
		return lines
	}
	lines := []string{"nodes: ["}
	for i := range n {
		comma := ","
		if i == n-1 {
			comma = g.oneOf("", ",")
		}
		lines = append(lines, " "+indent+g.flow(i)+comma+g.comment())
	}
	if g.IntN(2) == 0 {
		return []string{strings.ReplaceAll(strings.Join(uncommented(lines), ""), ",  ", ",") + "]"}
	}
	if last := len(lines) - 1; g.IntN(2) == 0 {
		lines[last] = uncommented(lines[last:])[0] + " ]"
		return lines
	}
	return append(lines, " ]")
}

func uncommented(lines []string) []string {
	var out []string
	for _, l := range lines {
		l, _, _ = strings.Cut(l, " #")
		out = append(out, strings.TrimRight(l, " "))
	}
	return out
}

func (g layouts) block(indent string, i int) []string {
	if g.IntN(4) == 0 {
		return []string{indent + "- " + g.flow(i) + g.comment()}
	}
	pad := g.oneOf(" ", " ", "   ")
	fields := g.fields(i)
	lines := []string{indent + "-" + pad + fields[0] + g.comment()}
	for _, f := range fields[1:] {
		lines = append(lines, indent+" "+spaces(len(pad))+f+g.comment())
	}
	return append(lines, g.oneOf("", "# "+indent, indent+"  # of the last one"))
}

func (g layouts) flow(i int) string {
	return "{" + strings.Join(g.fields(i), g.oneOf(", ", " , ")) + "}"
}

func (g layouts) fields(i int) []string {
	q, k := g.oneOf("", "", "'", `"`), g.oneOf("", "", `"`)
	fields := []string{k + "name" + k + ": " + q + fmt.Sprintf("node-%d", i) + q, "ip" + g.oneOf(": ", ":  ") + q + fmt.Sprintf("192.0.2.%d", 11+i) + q}
	switch g.IntN(4) {
	case 0:
		fields = append(fields, "podCIDRs: "+g.oneOf("[]", "[ ]"))
	case 1:
		fields = append(fields, fmt.Sprintf("podCIDRs: [%s10.0.%d.0/24%s]", q, i, q))
	}
	if g.IntN(3) == 0 {
		fields = append(fields, `vtepMAC: ""`)
	}
	g.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return fields
}

// TestAllocateMany: one walk through the file, also if it is a single line.
func TestAllocateMany(t *testing.T) {
	const n = 20000
	head := `{"apiVersion": "podnet.dev/v1alpha1", "kind": "ClusterTopology", "metadata": {"name": "lab"}, "network": {"clusterCIDRs": ["10.0.0.0/8"]}, "nodes": [`
	var entries []string
	for i := range n {
		entries = append(entries, fmt.Sprintf(`{"name": "node-%d", "ip": "192.168.%d.%d"}`, i, i>>8, i&255))
	}
	data := []byte(head + strings.Join(entries, ", ") + "]}\n")
	begin := time.Now()
	if _, err := Parse("many", data); err != nil {
		t.Fatal(err)
	}
	read := time.Since(begin)
	begin = time.Now()
	a, err := Allocate("many", data, Request{})
	if err != nil || len(a.Given) != n {
		t.Fatalf("%v", err)
	}
	const often = 20 // it reads the file twice, and what it writes is longer; a walk for each entry takes hundreds of times
	if took := time.Since(begin); took > often*read {
		t.Errorf("it took %v, reading the file once %v", took, read)
	}
}
