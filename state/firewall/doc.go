// Package firewall is the driver of a host's packet filters: podnet's own chains in iptables
// (iptables.go, chain.go) and in its table of nftables (own.go, sources.go), and what others have
// in either that is in the way of podnet's packets.
//
// Host.List reads the chains that podnet owns into a state.Live, Host.Apply carries out changes of
// them; ListSources and ApplySources do the same for the set of addresses that may send to the
// tunnel. What podnet wants there, and in which of the two, state.Desired decides. Rules of others
// are read once for each generation of nftables' rules, and judged against a Traffic: the packets
// of pods and of the tunnel that have to get through (ahead.go for what stands before podnet's own
// rules, input.go for the tunnel's port, nftables.go for base chains beside iptables). Tables that
// iptables-save cannot print are read from the kernel (blind.go, kernelrules.go). How rules decide
// on a packet is package verdict's.
package firewall
