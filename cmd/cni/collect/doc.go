// Package collect frees what pods that are gone have left behind on a node, for the daemon and the
// command line alike: leases, host veths, and port mappings.
//
// It tells of each pod by itself whether it is gone, and frees what it can where a part fails. All
// of it is in collect.go.
package collect
