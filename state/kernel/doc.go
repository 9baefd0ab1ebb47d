// Package kernel is the driver of a live node: it reads what the kernel, iptables and the conflist
// hold into a state.Set, and carries out changes of it. All of it is in the network namespace in
// which Open was called.
//
// A kind of object is a line of kinds in kind.go: a function that lists its objects and one that
// applies changes. Each kind's two functions stand in the file of the kind's name. What belongs to
// others and is in the way of podnet's objects is found while a kind is listed, and reported as a
// state.Conflict: routes and addresses (conflict.go, lan.go), policy rules and IPsec (divert.go,
// lookup.go, ipsec.go). Packet filters are package firewall's. watch.go tells when the kernel
// announces a change.
//
// A list that cannot be read is an error of its kind alone, and a change that fails leaves its
// error in the state.Change.
package kernel
