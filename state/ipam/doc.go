// Package ipam is the lease store: which container has which address on this node. It writes the
// directory of the host-local plugin byte for byte, so that either plugin can go on in the other's
// directory and other tools can read it:
//
//	<dir>/<address>           the lease: container id, CR LF, interface name; flock, held by an ADD that has to make its veth yet
//	<dir>/last_reserved_ip.N  the address that range set N gave last
//	<dir>/lock                flock, held for every operation
//
// and keeps what makes its own operations cost the same with one lease or 60,000 in a directory
// that the reference plugin walks through without finding anything in it:
//
//	<dir>/.podnet/record      the boot that the leases belong to
//	<dir>/.podnet/owners/H    the addresses of one attachment and its pod's name, in the target of a symbolic link to nowhere
//
// The lease files are the truth. An index entry is a hint that is checked against them, and is
// written before them, so that the index misses no lease of podnet's even if a process is killed
// halfway.
package ipam
