// Package cluster tests the programs from outside: a lab of real nodes, the reference (README.md
// lists its pages) for what to expect, and the kernel's own tools as the judge.
package cluster

import (
	"os"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Isolate(m, "podnetd", "podnetctl", "cni/bridge", "cni/host-local", "cni/loopback"))
}

// nodes makes a lab with nodes of these names and puts the lab's topology in place on each; nothing
// runs yet.
func nodes(t *testing.T, names ...string) (*lab.Lab, lab.Topology) {
	t.Helper()
	l := lab.New(t)
	for _, name := range names {
		l.Node(name)
	}
	topology := l.Topology()
	for _, n := range l.Nodes {
		n.Write(topology.String())
	}
	return l, topology
}

// cluster is nodes with a podnetd on each, converged.
func cluster(t *testing.T, names ...string) (*lab.Lab, lab.Topology) {
	t.Helper()
	l, topology := nodes(t, names...)
	for _, n := range l.Nodes {
		n.Start()
		n.AwaitInForce()
		if err := n.CheckPeers(topology); err != nil {
			t.Fatal(err)
		}
	}
	return l, topology
}

// unchanged fails the test if the node's kernel is not as it was.
func unchanged(t *testing.T, n *lab.Node, before, what string) {
	t.Helper()
	if err := lab.SameState(before, n.State()); err != nil {
		t.Errorf("%s changed %s:\n%v", what, n.Host, err)
	}
}

// exits fails the test if a program ended with another exit code.
func exits(t *testing.T, out lab.Output, code int, what string) {
	t.Helper()
	if out.Code != code {
		t.Errorf("%s: exit code %d, want %d\n%s%s", what, out.Code, code, out.Stdout, out.Stderr)
	}
}

// reach fails the test if two pods don't reach each other, in both directions and every family.
func reach(t *testing.T, a, b *lab.Pod) {
	t.Helper()
	for _, err := range []error{a.Reach(b), b.Reach(a)} {
		if err != nil {
			t.Error(err)
		}
	}
}
