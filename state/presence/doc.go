// Package presence tells whether a pod is still there that nobody has deleted, by what the kernel
// has of it: the host veth that podnet's bridge plugin names after the attachment, or, for pods of
// any other plugin, the pod's address in a network namespace. It rather takes a pod that has gone
// for one that is there than the other way round.
//
// View answers for a pod whose names or addresses are known, such as the holder of a host port.
// Sight and Own answer the questions of the lease store, of any network and of podnet's own. All of
// them only read. They ask the network namespace that their socket was opened in: its pods are
// those that its veths lead to.
//
// Start reading at View. Plugins import this package, so it keeps to what they import anyway.
package presence
