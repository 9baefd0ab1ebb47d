// Package netfilter reads and writes the rules of the kernel's packet filter. It reads them over an
// nfnetlink socket and executes no program for that, because executing one takes longer than all
// the rest of a plugin's work. It writes a change in one transaction: all of it or nothing.
//
// A plugin sees first whether its rules are there, by the comment that it gave them, and writes
// only what is missing:
//
//	conn, err := netfilter.Dial()
//	if err != nil {
//		return err
//	}
//	defer conn.Close()
//	unlock, err := netfilter.Lock(10 * time.Second) // between reading and writing nobody else of us may
//	if err != nil {
//		return err
//	}
//	defer unlock()
//	rules, err := conn.Rules(netfilter.Chain{Family: netfilter.Inet, Table: "podnet_masq", Name: "postrouting"})
//	if err != nil {
//		return err
//	}
//	if slices.ContainsFunc(rules, func(r netfilter.Rule) bool { return r.Comment == "masquerade net" }) {
//		return nil // the pod path: three system calls
//	}
//	return netfilter.Script(`add table inet podnet_masq
//	add chain inet podnet_masq postrouting { type nat hook postrouting priority srcnat; }
//	add rule inet podnet_masq postrouting ip saddr 10.1.0.0/24 ip daddr != 10.1.0.0/24 masquerade comment "masquerade net"`)
//
// The same for iptables, whichever of its two kinds the host has; tables of iptables-nft are read
// like any other:
//
//	nat := conn.IPTables(netlink.IPv4, "nat")
//	rules, err := nat.Rules("POSTROUTING")
//	…
//	err = nat.Restore("-A POSTROUTING -s 10.1.0.0/24 -m comment --comment net/id/eth0 -j MASQUERADE")
//	…
//	err = nat.Delete(rules, "CHAIN") // these rules, and then these chains with all that is in them
//
// A chain's line in Restore empties the chain, so what several pods share is looked for first,
// among the rules of Current, and restored only where it is missing.
//
// Rules of nft, and of iptables where it keeps them in nftables, are written over netlink too: a
// Batch adds and deletes chains and rules, which Expressions are made of, as one transaction, and
// Append is the same for tables of iptables. What can be told of a rule that was read stands in
// Match. What the kernel remembers of connections is not changed by rules: ForgetConnections has it
// forget those of a port.
package netfilter
