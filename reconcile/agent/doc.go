// Package agent is the orchestrator of a node, for podnetd and for podnetctl alike. Engine looks at
// the node, makes the plan for a topology and applies it. Daemon does so again whenever the kernel
// or a file changes, and reports in NodeStatus. Session does what one verb of the command line asks
// for: See looks, and Apply, Confirm, Rollback and Remove change the node.
//
// Two processes never change a node at once: Lock is the node's lock, Presence tells that podnetd
// runs. A daemon's passes are bounded by a budget of processor time (budget.go), and an object that
// somebody else keeps changing is put right ever more slowly (contention.go).
package agent
