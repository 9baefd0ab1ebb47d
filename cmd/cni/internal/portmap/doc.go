// Package portmap is the plugin that forwards ports of the host to a pod, IPv4 and IPv6 alike, with
// iptables or nftables. It reads the rules in force without executing anything, and writes all that
// a pod needs in one transaction, for iptables one a family.
//
// Every rule names its attachment. So a host port that another one has is refused with that one's
// name, and DEL and GC need neither the namespace nor the addresses nor the configuration that the
// ADD had.
//
// What a configuration means (config.go, mapping.go) and what the rules say (chain.go, owner.go) are
// values; backend.go has the interface that iptables.go and nftables.go implement. Start reading at
// add.
package portmap
