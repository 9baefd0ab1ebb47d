// Package reconcile turns what is into what should be. The difference of two sets is a plan;
// Plan.Apply carries it out, kind by kind, on whatever implements Applier. It also says what a plan
// means: for peers, for fields of the topology, for running pods, and whether a new topology takes
// away more than somebody can have meant (Guard).
//
// The package is pure: it opens nothing, and it knows neither the time nor the node. Package
// rollout below decides which topology is in force, and package agent looks at the node, plans,
// applies and reports. diff, apply, the daemon and teardown are these steps with different endings.
//
// Start with plan.go for the plan, diff.go for how it is made, and apply.go for the order in which
// it is carried out.
package reconcile
