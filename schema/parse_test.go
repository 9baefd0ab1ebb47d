package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// cluster is a valid topology of n nodes, at most 65536, in the form that people write.
func cluster(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nmetadata: {name: lab, nodeCount: %d}\n", APIVersion, Kind, n)
	b.WriteString("network: {clusterCIDRs: [\"10.0.0.0/8\", \"fd00::/16\"]}\nnodes:\n")
	for i := range n {
		fmt.Fprintf(&b, "- name: node-%d\n  ip: 192.168.%d.%d\n", i, i>>8, i&255)
		fmt.Fprintf(&b, "  podCIDRs: [\"10.%d.%d.%d/28\", \"fd00:0:0:%x::/64\"]\n", i>>12, i>>4&255, i<<4&255, i)
	}
	return b.Bytes()
}

func clusterJSON(t testing.TB, n int) []byte {
	t.Helper()
	var tree any
	if err := yaml.Unmarshal(cluster(n), &tree); err != nil {
		t.Fatal(err)
	}
	data, err := json.MarshalIndent(tree, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func mustParse(t testing.TB, data []byte) *Topology {
	t.Helper()
	topology, err := Parse("topology.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return topology
}

func faultsOf(t testing.TB, data []byte) *Invalid {
	t.Helper()
	_, err := Parse("topology.yaml", data)
	invalid, ok := errors.AsType[*Invalid](err)
	if !ok {
		t.Fatalf("Parse returned %v, want faults", err)
	}
	return invalid
}

// TestYAMLAndJSONAlike: the same content gives the same topology.
func TestYAMLAndJSONAlike(t *testing.T) {
	fromYAML, fromJSON := mustParse(t, cluster(50)), mustParse(t, clusterJSON(t, 50))
	if diff := cmp.Diff(asFile(fromYAML), asFile(fromJSON)); diff != "" {
		t.Errorf("-YAML +JSON:\n%s", diff)
	}
	line := bytes.Split(clusterJSON(t, 50), []byte("\n"))[fromJSON.Nodes[1].Line:][0]
	if !bytes.Contains(line, []byte("192.168.0.1")) {
		t.Errorf("nodes[1] of the JSON is said to be in line %d, before %s", fromJSON.Nodes[1].Line, line)
	}
}

func TestLines(t *testing.T) {
	topology := mustParse(t, read(t, "../examples/full.yaml"))
	source := strings.Split(string(read(t, "../examples/full.yaml")), "\n")
	for field, begins := range map[string]string{
		"apiVersion": "apiVersion:", "metadata.name": "  name: production", "metadata.nodeCount": "  nodeCount:",
		"network": "network:", "network.clusterCIDRs": "  clusterCIDRs:", "network.nodeCIDRMaskSize.ipv6": "  nodeCIDRMaskSize:",
		"network.mtu": "  mtu:", "network.encapsulation": "  encapsulation:", "network.vxlan.name": "    name: overlay",
		"network.vxlan.port": "    port:", "network.vxlan.vni": "    vni:", "network.bridge.name": "    name: pods0",
		"network.bridge.hairpinMode": "    hairpinMode:", "network.masquerade.enabled": "    enabled:",
		"network.masquerade.nonMasqueradeCIDRs": "    nonMasqueradeCIDRs:", "network.cni.disableGC": "    disableGC:",
		"safety.maxDisruptedPeersPercent": "  maxDisruptedPeersPercent:", "removedNodes": "removedNodes:",
		"removedNodes[1]": "- rack1-node4", "nodes": "nodes:",
	} {
		line := topology.Line(field)
		if line == 0 || !strings.HasPrefix(source[line-1], begins) {
			t.Errorf("Line(%s) = %d", field, line)
		}
	}
	for _, node := range topology.Nodes {
		if !strings.HasPrefix(source[node.Line-1], "- name: "+node.Name) {
			t.Errorf("%s: line %d", node.Name, node.Line)
		}
	}
	if got := mustParse(t, cluster(1)).Line("network.mtu"); got != 0 {
		t.Errorf("a field that is not set has line %d", got)
	}
}

func TestClusterCIDRsDefault(t *testing.T) {
	topology := mustParse(t, read(t, "../examples/minimal.yaml"))
	if diff := cmp.Diff([]string{"10.244.0.0/23"}, texts(topology.Network.ClusterCIDRs)); diff != "" {
		t.Error(diff)
	}
}

func TestAggregate(t *testing.T) {
	for in, want := range map[string]string{
		"":                                        "",
		"10.0.1.0/24 10.0.0.0/24":                 "10.0.0.0/23",
		"10.0.1.0/24 10.0.2.0/24":                 "10.0.1.0/24 10.0.2.0/24",
		"10.0.0.0/24 10.0.0.0/24 10.0.0.0/16":     "10.0.0.0/16",
		"10.0.0.0/24 10.0.1.0/24 10.0.2.0/23":     "10.0.0.0/22",
		"fd00::/64 10.0.0.0/24 fd00:0:0:1::/64":   "10.0.0.0/24 fd00::/63",
		"0.0.0.0/1 128.0.0.0/1":                   "0.0.0.0/0",
		"10.0.3.0/24 10.0.0.0/23 10.0.2.0/25":     "10.0.0.0/23 10.0.2.0/25 10.0.3.0/24",
		"10.0.2.128/25 10.0.2.0/25 10.0.3.0/24":   "10.0.2.0/23",
		"255.255.255.255/32 ::/128 0.0.0.0/32":    "0.0.0.0/32 255.255.255.255/32 ::/128",
		"10.0.0.0/24 10.0.1.0/25 10.0.1.128/25":   "10.0.0.0/23",
		"10.0.0.0/25 10.0.0.128/26 10.0.0.192/26": "10.0.0.0/24",
	} {
		var prefixes []netip.Prefix
		for text := range strings.FieldsSeq(in) {
			prefixes = append(prefixes, netip.MustParsePrefix(text))
		}
		if got := strings.Join(texts(Aggregate(prefixes)), " "); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestErrorIsOneLine(t *testing.T) {
	got := faultsOf(t, read(t, "testdata/invalid/screen.yaml")).Error()
	want := "topology.yaml:11:7: nodes[1].ip: 192.0.2.300 is not an IP address (each part is at most 255) and 2 more"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPaint(t *testing.T) {
	var out strings.Builder
	paint := func(part Part, text string) string { return fmt.Sprintf("<%d %s>", part, text) }
	if err := faultsOf(t, read(t, "testdata/invalid/wrong-kind.yaml")).WriteText(&out, paint); err != nil {
		t.Fatal(err)
	}
	want := `<0 topology.yaml:2:7:> kind: Topology is unknown here (write ClusterTopology)
<0      2 |> kind: Topology
<0        |>       <1 ^^^^^^^^>
topology.yaml: 1 error, 0 warnings, 2 nodes
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// TestFaultsAreBounded: a file that is wrong throughout must not fill the memory or the terminal.
func TestFaultsAreBounded(t *testing.T) {
	invalid := faultsOf(t, bytes.ReplaceAll(cluster(maxFaults+500), []byte("  ip:"), []byte("  iP:")))
	if len(invalid.Faults) != maxFaults || invalid.Omitted < 500 {
		t.Errorf("%d faults, %d omitted", len(invalid.Faults), invalid.Omitted)
	}
}

// TestKeepsNoFile: a topology and a list of faults live long, the file's bytes must not live with
// them.
func TestKeepsNoFile(t *testing.T) {
	freed := make(chan bool, 1)
	data := new([1 << 20]byte)
	copy(data[:], bytes.Repeat([]byte("\n"), len(data)))
	copy(data[:], bytes.Replace(cluster(2), []byte("lab"), []byte("Lab"), 1))
	runtime.AddCleanup(data, func(c chan bool) { c <- true }, freed)
	invalid := faultsOf(t, data[:])
	data = nil
	for range 5 {
		runtime.GC()
	}
	if len(freed) == 0 && waitFor(freed) {
		t.Error("the file is still referred to")
	}
	runtime.KeepAlive(invalid)
}

// waitFor gives the cleanup its goroutine; true: it did not run.
func waitFor(freed chan bool) bool {
	for range 100 {
		runtime.GC()
		runtime.Gosched()
		if len(freed) > 0 {
			return false
		}
	}
	return true
}

func BenchmarkParse(b *testing.B) {
	for name, data := range map[string][]byte{
		"yaml/10000": cluster(10000), "json/10000": clusterJSON(b, 10000), "yaml/50000": cluster(50000),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				mustParse(b, data)
			}
		})
	}
}
