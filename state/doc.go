// Package state is what a node holds, as values. It has the type of every kind of object that
// podnet manages (Link, Route, Chain, Conflist and so on), the Set of them, and Desired, which says
// what Set a topology asks for on one node.
//
// The package is pure: it reads no file, no clock and no socket, and the same arguments give the
// same values. What the node holds now is read and changed by package kernel below; both are a Set,
// so that a plan is the difference of two sets.
//
// Start with resource.go for what an object is, kind.go for the kinds and their order, and
// desired.go for what is wanted.
package state
