// Package hostlocal is the host-local IPAM plugin: addresses out of ranges in its configuration,
// kept in a lease store on this node. The bridge plugin calls it in its own process.
//
// A Call is a request with what its configuration says of addresses. Reading it fails only if a
// field has a wrong type: ranges that cannot be are refused by the verbs that need ranges, so that a
// DEL works without. Files and locks are package ipam's.
//
// Start reading at Call.Allocate.
package hostlocal
