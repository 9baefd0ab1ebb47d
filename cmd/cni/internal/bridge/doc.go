// Package bridge is the plugin that connects a pod to a bridge: a veth pair, its addresses and
// routes, the bridge's own address. It does everything in one process, over one netlink socket in
// the host's namespace and one in the pod's.
//
// A call is what the runtime asks for, read once, together with the host's socket; an attachment is
// a call of ADD with what it has made so far, and an inspection one of CHECK with what it has found.
// What an ADD makes gets a step in its rollback, so that a failed ADD leaves nothing. A DEL finds
// everything by names, so that it works without the namespace, and again.
//
// Start reading at add in add.go, and at del in del.go.
package bridge
