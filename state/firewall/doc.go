// Package firewall is the driver of a host's packet filters: podnet's own chains in iptables, and
// what others have in iptables and nftables that is in the way of podnet's packets.
//
// Host.List reads the chains that podnet owns into a state.Live, Host.Apply carries out changes of
// them. Rules of others are read once for each generation of nftables' rules, and judged against a
// Traffic: the packets of pods and of the tunnel that have to get through (ahead.go for what stands
// before podnet's own rules, input.go for the tunnel's port, nftables.go for base chains beside
// iptables). Tables that iptables-save cannot print are read from the kernel (blind.go,
// kernelrules.go). How rules decide on a packet is package verdict's.
package firewall
