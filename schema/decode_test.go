package schema

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestDecodesLikeOthers holds our reading against another decoder's, for every field of the
// examples.
func TestDecodesLikeOthers(t *testing.T) {
	for _, file := range append(inputs(t, "../examples"), "testdata/valid/bounds.yaml") {
		want := withDefaults()
		if err := yaml.UnmarshalStrict(read(t, file), &want); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		topology, err := Parse(file, read(t, file))
		if err != nil {
			t.Fatal(err)
		}
		want.normalize(topology)
		if diff := cmp.Diff(want, asFile(topology)); diff != "" {
			t.Errorf("%s (-theirs +ours):\n%s", file, diff)
		}
	}
}

// withDefaults is the file of the documentation: a decoder leaves alone what the file does not set.
func withDefaults() fileTopology {
	return fileTopology{
		Network: fileNetwork{
			NodeCIDRMaskSize: fileMaskSize{IPv4: 24, IPv6: 64},
			Encapsulation:    "vxlan",
			Firewall:         "auto",
			VXLAN:            fileVXLAN{VNI: 1, Port: 8472, OnlyPeers: true},
			Bridge:           fileBridge{Name: "cni0", HairpinMode: true},
			Masquerade:       fileMasquerade{Enabled: true},
			CNI:              fileCNI{Name: "podnet", Versions: []string{"1.0.0", "1.1.0"}},
		},
		Safety: fileSafety{MaxDisruptedPeersPercent: 10},
	}
}

// normalize fills in what is derived and orders what Parse orders.
func (f *fileTopology) normalize(from *Topology) {
	if f.Network.VXLAN.Name == "" {
		f.Network.VXLAN.Name = "podnet." + strconv.Itoa(f.Network.VXLAN.VNI)
	}
	if f.Network.ClusterCIDRs == nil {
		f.Network.ClusterCIDRs = texts(from.Network.ClusterCIDRs)
	}
	if f.Metadata.NodeCount == 0 {
		f.Metadata.NodeCount = len(from.Nodes)
	}
	for i := range f.Nodes {
		n := &f.Nodes[i]
		if n.VTEPMAC == "" {
			n.VTEPMAC = DeriveVTEPMAC(f.Metadata.Name, n.Name).String()
		}
		n.VTEPMAC = strings.ToLower(n.VTEPMAC)
		slices.SortFunc(n.PodCIDRs, func(a, b string) int {
			return netip.MustParsePrefix(a).Addr().Compare(netip.MustParsePrefix(b).Addr())
		})
	}
}

func asFile(t *Topology) fileTopology {
	n := t.Network
	f := fileTopology{
		APIVersion: APIVersion, Kind: Kind,
		Metadata: fileMetadata{Name: t.Name, NodeCount: len(t.Nodes)},
		Network: fileNetwork{
			ClusterCIDRs:     texts(n.ClusterCIDRs),
			NodeCIDRMaskSize: fileMaskSize{IPv4: n.NodeCIDRMaskSizeIPv4, IPv6: n.NodeCIDRMaskSizeIPv6},
			MTU:              n.MTU,
			Encapsulation:    n.Encapsulation,
			Firewall:         string(n.Firewall),
			VXLAN:            fileVXLAN{Name: n.VXLAN.Name, VNI: int(n.VXLAN.VNI), Port: int(n.VXLAN.Port), OnlyPeers: n.VXLAN.OnlyPeers},
			Bridge:           fileBridge{Name: n.Bridge.Name, HairpinMode: n.Bridge.HairpinMode, AntiSpoofing: n.Bridge.AntiSpoofing},
			Masquerade:       fileMasquerade{Enabled: n.Masquerade.Enabled, NonMasqueradeCIDRs: texts(n.Masquerade.NonMasqueradeCIDRs)},
			CNI:              fileCNI{Name: n.CNI.Name, Versions: n.CNI.Versions, DisableGC: n.CNI.DisableGC},
		},
		Safety:       fileSafety{MaxDisruptedPeersPercent: t.Safety.MaxDisruptedPeersPercent},
		RemovedNodes: t.RemovedNodes,
	}
	for _, node := range t.Nodes {
		local := ""
		if node.LocalIP.IsValid() {
			local = node.LocalIP.String()
		}
		f.Nodes = append(f.Nodes, fileNode{Name: node.Name, IP: node.IP.String(), LocalIP: local, PodCIDRs: texts(node.PodCIDRs), VTEPMAC: node.VTEPMAC.String()})
	}
	return f
}

func texts(prefixes []netip.Prefix) []string {
	var all []string
	for _, p := range prefixes {
		all = append(all, p.String())
	}
	return all
}
