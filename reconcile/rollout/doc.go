// Package rollout decides which topology is in force on this node: the operator's file, the last
// good one, or one on trial that is undone if nobody confirms it. Source is where they are on disk;
// Source.Judge gives the Decision, with the reason if the operator's file is not followed.
//
// It reads and writes files below the paths that it is given and the clock since boot, and never
// the network: what a rollback has to remove from the node is a function that the caller gives to
// Undo. lastgood.go is the one place where the last good topology is written.
package rollout
