package schema

import (
	"reflect"
	"strings"
)

// The file types are the file as users write it: the single place that says which fields exist,
// from which both the reader's list of known names and the JSON Schema are made. Nothing is decoded
// into them; a Topology is the parsed form. A field without omitempty is required.

type fileTopology struct {
	APIVersion   string       `json:"apiVersion" jsonschema:"enum=podnet.dev/v1alpha1" jsonschema_description:"The version of this format."`
	Kind         string       `json:"kind" jsonschema:"enum=ClusterTopology" jsonschema_description:"What this file is."`
	Metadata     fileMetadata `json:"metadata" jsonschema_description:"What the cluster is called."`
	Network      fileNetwork  `json:"network,omitempty" jsonschema_description:"What is the same on every node."`
	Safety       fileSafety   `json:"safety,omitempty" jsonschema_description:"What one change of this file may do; more is refused."`
	RemovedNodes []string     `json:"removedNodes,omitempty" jsonschema_description:"Names of nodes that left on purpose; they do not count as disruption."`
	Nodes        []fileNode   `json:"nodes" jsonschema:"minItems=1" jsonschema_description:"Every node of the cluster."`
}

type fileMetadata struct {
	Name      string `json:"name" jsonschema:"maxLength=63,pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" jsonschema_description:"The cluster's name, an RFC 1123 label. It seeds the VTEP MACs: changing it changes every peer."`
	NodeCount int    `json:"nodeCount,omitempty" jsonschema:"minimum=1" jsonschema_description:"If present it must equal the number of nodes, which catches a file that was cut off."`
}

type fileNetwork struct {
	ClusterCIDRs     []string       `json:"clusterCIDRs,omitempty" jsonschema_description:"The ranges in which every podCIDR lies. Empty: the aggregated podCIDRs, of which there may be 64."`
	NodeCIDRMaskSize fileMaskSize   `json:"nodeCIDRMaskSize,omitempty" jsonschema_description:"The size of the podCIDRs that podnetctl allocate hands out."`
	MTU              int            `json:"mtu,omitempty" jsonschema:"default=0" jsonschema_description:"The MTU of pods, bridge and vxlan. 0: that of the link which carries the node's ip, less 50 (IPv6 underlay: 70)."`
	Encapsulation    string         `json:"encapsulation,omitempty" jsonschema:"enum=vxlan,default=vxlan" jsonschema_description:"How packets reach another node."`
	Firewall         string         `json:"firewall,omitempty" jsonschema:"enum=auto,enum=iptables,enum=nftables,default=auto" jsonschema_description:"What podnet's own chains are made with. auto: iptables where the host has that program, else nftables."`
	VXLAN            fileVXLAN      `json:"vxlan,omitempty" jsonschema_description:"The tunnel device."`
	Bridge           fileBridge     `json:"bridge,omitempty" jsonschema_description:"The device that the pods of one node share."`
	Masquerade       fileMasquerade `json:"masquerade,omitempty" jsonschema_description:"Which pod traffic leaves with the node's own address."`
	CNI              fileCNI        `json:"cni,omitempty" jsonschema_description:"What the CNI configuration says of itself."`
}

type fileMaskSize struct {
	IPv4 int `json:"ipv4,omitempty" jsonschema:"minimum=1,maximum=30,default=24" jsonschema_description:"Prefix length of a node's IPv4 podCIDR."`
	IPv6 int `json:"ipv6,omitempty" jsonschema:"minimum=1,maximum=126,default=64" jsonschema_description:"Prefix length of a node's IPv6 podCIDR."`
}

type fileVXLAN struct {
	Name string `json:"name,omitempty" jsonschema:"minLength=1,maxLength=15" jsonschema_description:"The interface's name; podnet.<vni> by default."`
	VNI  int    `json:"vni,omitempty" jsonschema:"minimum=1,maximum=16777215,default=1" jsonschema_description:"The VXLAN network identifier."`
	Port int    `json:"port,omitempty" jsonschema:"minimum=1,maximum=65535,default=8472" jsonschema_description:"The UDP port, the same on every node."`

	OnlyPeers bool `json:"onlyPeers,omitempty" jsonschema:"default=true" jsonschema_description:"Whether the tunnel takes packets of the nodes of this file alone."`
}

type fileBridge struct {
	Name        string `json:"name,omitempty" jsonschema:"minLength=1,maxLength=15,default=cni0" jsonschema_description:"The interface's name."`
	HairpinMode bool   `json:"hairpinMode,omitempty" jsonschema:"default=true" jsonschema_description:"Whether a pod may reach itself through a service or a published port."`

	AntiSpoofing bool `json:"antiSpoofing,omitempty" jsonschema:"default=false" jsonschema_description:"Whether pods may send only from the MAC and addresses that they were given."`
}

type fileMasquerade struct {
	Enabled            bool     `json:"enabled,omitempty" jsonschema:"default=true" jsonschema_description:"Whether pod traffic that leaves the cluster ranges takes the node's address."`
	NonMasqueradeCIDRs []string `json:"nonMasqueradeCIDRs,omitempty" jsonschema_description:"Destinations that see the pod's own address all the same."`
}

type fileCNI struct {
	Name      string   `json:"name,omitempty" jsonschema:"maxLength=128,pattern=^[a-zA-Z0-9][a-zA-Z0-9_.-]*$,default=podnet" jsonschema_description:"The CNI network's name; leases are kept under it."`
	Versions  []string `json:"versions,omitempty" jsonschema:"minItems=1,enum=0.3.1,enum=0.4.0,enum=1.0.0,enum=1.1.0" jsonschema_description:"The CNI versions that the configuration offers the runtime; 1.0.0 and 1.1.0 by default."`
	DisableGC bool     `json:"disableGC,omitempty" jsonschema:"default=false" jsonschema_description:"Whether the runtime is told not to call GC."`
}

type fileSafety struct {
	MaxDisruptedPeersPercent int `json:"maxDisruptedPeersPercent,omitempty" jsonschema:"minimum=0,maximum=100,default=10" jsonschema_description:"How many of the peers one change may disrupt: peers that leave without being named in removedNodes, or whose ip, podCIDRs or VTEP MAC change."`
}

type fileNode struct {
	Name     string   `json:"name" jsonschema:"maxLength=253,pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" jsonschema_description:"The node's name, an RFC 1123 subdomain."`
	IP       string   `json:"ip" jsonschema_description:"The underlay address, IPv4 or IPv6, of one family for all nodes."`
	PodCIDRs []string `json:"podCIDRs,omitempty" jsonschema:"maxItems=2" jsonschema_description:"The ranges of this node's pods, at most one per family. Empty: not allocated yet, the node is nobody's peer."`
	LocalIP  string   `json:"localIP,omitempty" jsonschema_description:"A second underlay address of this host, from which it sends: behind NAT, where ip is the one that peers reach, or the former one while ip changes. Empty: it sends from ip."`
	VTEPMAC  string   `json:"vtepMAC,omitempty" jsonschema:"pattern=^(([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2})?$" jsonschema_description:"The MAC of the node's vxlan device. Empty: derived from the names of cluster and node."`
}

// fieldsOf lists the names that a mapping of file type T may hold, in the order of the
// documentation.
func fieldsOf[T any]() []string {
	t := reflect.TypeFor[T]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}
