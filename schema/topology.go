// Package schema is the cluster topology file: what it may say, what is wrong with it and at which
// line, and its JSON Schema. It is pure: bytes in, a checked value or a list of faults out; no
// clock, no I/O, no globals.
package schema

import (
	"fmt"
	"net/netip"
)

// APIVersion and Kind are what a topology file calls itself.
const (
	APIVersion = "podnet.dev/v1alpha1"
	Kind       = "ClusterTopology"
)

// Topology is a topology file that has passed every check: values parsed, defaults filled in, nodes
// in the file's order. Whoever holds one may read it from several goroutines; nobody changes it.
type Topology struct {
	Name         string // metadata.name
	Network      Network
	Safety       Safety
	RemovedNodes []string
	Nodes        []Node

	File     string // as the caller named it; for messages
	Digest   string // "sha256:" and the hex SHA-256 of the file's bytes
	Warnings []Fault

	lines map[string]int // line of each field outside nodes that the file sets, such as "network.mtu"
}

// Network is the part that is the same on every node.
type Network struct {
	// as in the file, or the aggregated podCIDRs; never empty if a node has a podCIDR
	ClusterCIDRs         []netip.Prefix
	NodeCIDRMaskSizeIPv4 int
	NodeCIDRMaskSizeIPv6 int
	MTU                  int // of pods, bridge and vxlan, bytes; 0: derived from the underlay link
	Encapsulation        string
	Firewall             Firewall
	VXLAN                VXLAN
	Bridge               Bridge
	Masquerade           Masquerade
	CNI                  CNI
}

// Firewall says what podnet's own chains are made with.
type Firewall string

// The firewalls. FirewallAuto is iptables where the host has that program, and nftables elsewhere.
const (
	FirewallAuto     Firewall = "auto"
	FirewallIPTables Firewall = "iptables"
	FirewallNFTables Firewall = "nftables"
)

// VXLAN names the tunnel device.
type VXLAN struct {
	Name string
	VNI  uint32
	Port uint16 // UDP, host byte order

	OnlyPeers bool // it takes packets of the topology's nodes alone
}

// Bridge names the device that pods of one node share.
type Bridge struct {
	Name        string
	HairpinMode bool

	AntiSpoofing bool // pods send only from the MAC and addresses that they were given
}

// Masquerade says which pod traffic leaves with the node's own address.
type Masquerade struct {
	Enabled            bool
	NonMasqueradeCIDRs []netip.Prefix // destinations that see the pod's address all the same
}

// CNI is what the conflist says of itself.
type CNI struct {
	Name      string
	Versions  []string // ascending
	DisableGC bool
}

// Safety limits what one change of the file may do.
type Safety struct {
	MaxDisruptedPeersPercent int
}

// Node is one entry of nodes.
type Node struct {
	Name     string
	IP       netip.Addr     // underlay address, by which peers reach the node
	LocalIP  netip.Addr     // from which it sends instead; invalid: from IP
	PodCIDRs []netip.Prefix // masked; at most one a family, IPv4 first; empty: not allocated yet
	VTEPMAC  MAC            // the entry's own, or the derived one
	Line     int            // of the entry's first line
}

// Sender is the address from which the node sends to its peers.
func (n *Node) Sender() netip.Addr {
	if n.LocalIP.IsValid() {
		return n.LocalIP
	}
	return n.IP
}

// Node finds an entry by name, nil if there is none.
func (t *Topology) Node(name string) *Node {
	for i := range t.Nodes {
		if t.Nodes[i].Name == name {
			return &t.Nodes[i]
		}
	}
	return nil
}

// Line is the line at which the file sets a field outside nodes ("network.mtu", "removedNodes[2]"),
// 0 where it does not.
func (t *Topology) Line(field string) int { return t.lines[field] }

// Fault is one thing wrong with a file, or to be warned of. Line and Column count characters from
// 1; a quoted text is pointed to behind its quote.
type Fault struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Field   string `json:"field"`   // such as nodes[3].podCIDRs[0]; empty: the file as a whole
	Message string `json:"message"` // what is wrong
	Remedy  string `json:"remedy"`  // what would be right; empty where the message says it

	quote  string // the line in question, or the part of it around the fault
	indent int    // columns of quote before the mark
	width  int    // columns to mark
}

// String is the fault in one line, for a log: LINE:COLUMN: field: what is wrong (what would be
// right).
func (f Fault) String() string { return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.sentence()) }

func (f Fault) sentence() string {
	s := f.Message
	if f.Field != "" {
		s = f.Field + ": " + s
	}
	if f.Remedy != "" {
		s += " (" + f.Remedy + ")"
	}
	return s
}
