package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/podnet/podnet/schema"
)

// Conflist is the CNI configuration that the container runtime reads. Its presence tells the runtime that the node is
// ready, so it is the last thing made and the first removed.
type Conflist struct {
	Path    string
	Content string
}

func (c Conflist) Key() Key     { return Key{Kind: KindConflist, Name: c.Path} }
func (c Conflist) Parent() Key  { return Key{} }
func (c Conflist) Name() string { return c.Path[strings.LastIndexByte(c.Path, '/')+1:] }

// Attrs sums the file up, as far as it can be read.
func (c Conflist) Attrs() string {
	var list ConfigList
	if json.Unmarshal([]byte(c.Content), &list) != nil || len(list.Plugins) == 0 {
		return fmt.Sprintf("damaged, %d bytes", len(c.Content))
	}
	var subnets []string
	for _, set := range list.Plugins[0].IPAM.Ranges {
		for _, r := range set {
			subnets = append(subnets, r.Subnet)
		}
	}
	return fmt.Sprintf("mtu %d subnets %s, %d bytes", list.Plugins[0].MTU, strings.Join(subnets, ","), len(c.Content))
}

// ConfigList is the conflist as podnet writes it.
type ConfigList struct {
	CNIVersion  string         `json:"cniVersion"`
	CNIVersions []string       `json:"cniVersions,omitempty"`
	Name        string         `json:"name"`
	DisableGC   bool           `json:"disableGC,omitempty"`
	Plugins     []PluginConfig `json:"plugins"`
}

// PluginConfig is the bridge plugin's entry.
type PluginConfig struct {
	Type             string     `json:"type"`
	Bridge           string     `json:"bridge"`
	IsGateway        bool       `json:"isGateway"`
	IsDefaultGateway bool       `json:"isDefaultGateway"`
	HairpinMode      bool       `json:"hairpinMode"`
	IPMasq           bool       `json:"ipMasq"`
	MTU              int        `json:"mtu"`
	IPAM             IPAMConfig `json:"ipam"`
	Podnet           PodnetMark `json:"podnet"`
}

// IPAMConfig is host-local's part: one range set a family.
type IPAMConfig struct {
	Type    string    `json:"type"`
	DataDir string    `json:"dataDir"`
	Ranges  [][]Range `json:"ranges"`
}

// Range is one podCIDR.
type Range struct {
	Subnet string `json:"subnet"`
}

// PodnetMark tells podnet's bridge plugin that the network is podnet's own: it marks the host veths, and makes a missing
// bridge exactly as podnetd would.
type PodnetMark struct {
	BridgeMAC string `json:"bridgeMAC"`
}

func conflist(t *schema.Topology, node *schema.Node, mtu int, paths Paths) (Conflist, error) {
	bridge := PluginConfig{
		Type: "bridge", Bridge: t.Network.Bridge.Name, HairpinMode: t.Network.Bridge.HairpinMode,
		IsGateway: true, IsDefaultGateway: true, MTU: mtu,
		IPAM:   IPAMConfig{Type: "host-local", DataDir: paths.IPAMDataDir},
		Podnet: PodnetMark{BridgeMAC: schema.DeriveBridgeMAC(t.Name, node.Name).String()},
	}
	for _, p := range node.PodCIDRs {
		bridge.IPAM.Ranges = append(bridge.IPAM.Ranges, []Range{{Subnet: p.String()}})
	}
	cni := t.Network.CNI
	b, err := json.MarshalIndent(ConfigList{
		CNIVersion: cni.Versions[0], CNIVersions: cni.Versions, Name: cni.Name, DisableGC: cni.DisableGC,
		Plugins: []PluginConfig{bridge},
	}, "", "  ")
	return Conflist{paths.Conflist, string(b) + "\n"}, err
}

func listConflist(n *Node, _ *Set, live *Live) error {
	b, err := os.ReadFile(n.paths.Conflist)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		live.Conflists.Add(Conflist{n.paths.Conflist, string(b)}, OwnNode)
	}
	return err
}

func applyConflist(_ *Node, c *Change) error {
	if c.Op == Delete {
		err := os.Remove(c.Have.(Conflist).Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	want := c.Want.(Conflist)
	return ReplaceFile(want.Path, []byte(want.Content), 0o644)
}

// HoldConflist removes the conflist if the bridge is missing.
func (n *Node) HoldConflist(want *Set) error {
	if err := n.readLinks(); err != nil {
		return err
	}
	for _, l := range want.Links.Rows() {
		if l.Type == "bridge" && n.index(l.Device) == 0 {
			return applyConflist(n, &Change{Op: Delete, Have: Conflist{Path: n.paths.Conflist}})
		}
	}
	return nil
}
