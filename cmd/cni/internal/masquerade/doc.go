// Package masquerade keeps the rules that give packets of pods the node's address when they leave
// their network. They are the reference plugin's, one for each address of a pod, so that either
// plugin removes what the other has made. They are looked at, and written, over netlink; a program
// is executed only where the tables are not there, or where iptables is of its older kind.
//
// Ensure and Remove are idempotent. Start reading at backend, which iptables and nftables implement.
package masquerade
