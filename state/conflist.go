package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/schema"
)

// Conflist is the CNI configuration that the container runtime reads. Its presence tells the
// runtime that the node is ready, so it is the last thing made and the first removed.
type Conflist struct {
	Path    string
	Content string
}

func (c Conflist) Key() Key     { return Key{Kind: KindConflist, Name: c.Path} }
func (c Conflist) Parent() Key  { return Key{} }
func (c Conflist) Name() string { return c.Path[strings.LastIndexByte(c.Path, '/')+1:] }

// Attrs sums the file up, as far as it can be read.
func (c Conflist) Attrs() string {
	bridge, err := c.Bridge()
	if err != nil {
		return fmt.Sprintf("damaged, %d bytes", len(c.Content))
	}
	var subnets []string
	for _, set := range bridge.IPAM.Ranges {
		for _, r := range set {
			subnets = append(subnets, r.Subnet)
		}
	}
	return fmt.Sprintf("mtu %d subnets %s", bridge.MTU, strings.Join(subnets, ","))
}

// Network is the name under which the plugins keep the leases; "": that cannot be read.
func (c Conflist) Network() string {
	var list ConfigList
	if json.Unmarshal([]byte(c.Content), &list) != nil {
		return ""
	}
	return list.Name
}

// Bridge is the entry of the bridge plugin.
func (c Conflist) Bridge() (BridgeConfig, error) {
	var list struct{ Plugins []BridgeConfig }
	err := json.Unmarshal([]byte(c.Content), &list)
	if err == nil && len(list.Plugins) == 0 {
		err = errors.New("no plugins")
	}
	if err != nil {
		return BridgeConfig{}, err
	}
	return list.Plugins[0], nil
}

// ConfigList is the conflist as podnet writes it.
type ConfigList struct {
	CNIVersion  string   `json:"cniVersion"`
	CNIVersions []string `json:"cniVersions,omitempty"`
	Name        string   `json:"name"`
	DisableGC   bool     `json:"disableGC,omitempty"`
	Plugins     []any    `json:"plugins"` // BridgeConfig, PortmapConfig
}

// PortmapConfig is the portmap plugin's entry: the runtime gives it a pod's host ports.
type PortmapConfig struct {
	Type         string       `json:"type"`
	Capabilities Capabilities `json:"capabilities"`
	Podnet       PortmapMark  `json:"podnet"`
}

// PortmapMark tells podnet's portmap plugin that the network is podnet's own: it records what it
// makes, and podnetd keeps that.
type PortmapMark struct {
	Records string `json:"records"` // the directory for that
}

// Capabilities say what a plugin takes from the runtime.
type Capabilities struct {
	PortMappings bool `json:"portMappings"`
}

// BridgeConfig is the bridge plugin's entry.
type BridgeConfig struct {
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

// PodnetMark tells podnet's bridge plugin that the network is podnet's own: it marks the host
// veths, makes a missing bridge exactly as podnetd would, and says what each pod may send from.
type PodnetMark struct {
	BridgeMAC    string `json:"bridgeMAC"`
	AntiSpoofing bool   `json:"antiSpoofing,omitempty"`
}

// conflist is the one for a node with pods in these ranges.
func conflist(t *schema.Topology, node *schema.Node, cidrs []netip.Prefix, mtu int, paths Paths) (Conflist, error) {
	bridge := BridgeConfig{
		Type: "bridge", Bridge: t.Network.Bridge.Name, HairpinMode: t.Network.Bridge.HairpinMode,
		IsGateway: true, IsDefaultGateway: true, MTU: mtu,
		IPAM:   IPAMConfig{Type: "host-local", DataDir: paths.IPAMDataDir},
		Podnet: PodnetMark{schema.DeriveBridgeMAC(t.Name, node.Name).String(), t.Network.Bridge.AntiSpoofing},
	}
	for _, p := range cidrs {
		bridge.IPAM.Ranges = append(bridge.IPAM.Ranges, []Range{{Subnet: p.String()}})
	}
	cni := t.Network.CNI
	b, err := json.MarshalIndent(ConfigList{
		CNIVersion: cni.Versions[0], CNIVersions: cni.Versions, Name: cni.Name, DisableGC: cni.DisableGC,
		Plugins: []any{bridge, PortmapConfig{"portmap", Capabilities{PortMappings: true}, PortmapMark{paths.HostPorts}}},
	}, "", "  ")
	return Conflist{paths.Conflist, string(b) + "\n"}, err
}

// Marked says whether the file carries podnet's mark, and whether it is JSON at all.
func (c Conflist) Marked() (marked, sound bool) {
	var list struct {
		Plugins []struct {
			Podnet *PodnetMark `json:"podnet"`
		} `json:"plugins"`
	}
	sound = json.Unmarshal([]byte(c.Content), &list) == nil
	for _, p := range list.Plugins {
		marked = marked || p.Podnet != nil
	}
	return marked, sound
}
