package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/podnet/podnet/cmd/internal/privilege"
	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/kernel"
)

// node is this node, open for one verb.
type node struct {
	agent.Settings
	engine  *agent.Engine
	source  *rollout.Source
	id      reconcile.Identity
	verdict rollout.Verdict // of the files as they were when it was opened
	plugins pluginPrograms
}

// open opens this node for a verb, if this process may look at all of it.
func (c *cli) open(verb string) (*node, error) {
	s, err := c.settings()
	if err != nil {
		return nil, err
	}
	if err := privilege.Check(); err != nil {
		return nil, fmt.Errorf("%s %w (sudo podnetctl %s)", verb, err, verb)
	}
	return c.enter(s)
}

// enter opens this node whatever this process may look at.
func (c *cli) enter(s agent.Settings) (*node, error) {
	n := &node{Settings: s, plugins: pluginPrograms{}}
	var err error
	if n.engine, err = agent.Open(s); err != nil {
		return nil, err
	}
	n.source = rollout.NewSource(s.Paths, n.engine.Live())
	if n.id, err = n.engine.Identity(); err != nil {
		n.engine.Close()
		return nil, err
	}
	n.verdict = n.source.Judge(n.id)
	return n, nil
}

func (n *node) close() { n.engine.Close() }

// proposed is the topology of a FILE argument, or the one in place. The error of one that this node
// cannot follow is for c.invalid.
func (c *cli) proposed(n *node, args []string) (file, error) {
	f, err := c.read(append(args, n.Paths.Topology)[0], n.Paths, n.source.Parse)
	if err != nil {
		return f, err
	}
	if _, err := n.id.Select(f.topology); err != nil {
		return f, unlisted(f.topology, err)
	}
	return f, nil
}

// guard compares a topology, which has an entry for this node, with the one in force.
func (n *node) guard(t *schema.Topology) (reconcile.Guard, error) {
	own, err := n.id.Select(t)
	if err != nil {
		return reconcile.Guard{}, err
	}
	return reconcile.Protect(n.engine.Live(), own, n.verdict.Previous, t)
}

// pods counts the pods that hang on the bridge as it is named now; -1 if that cannot be found out.
func (n *node) pods(t *schema.Topology) int {
	if n.verdict.Previous != nil {
		t = n.verdict.Previous
	}
	count, err := n.engine.Live().Pods(t.Network.Bridge.Name)
	if err != nil {
		return -1
	}
	return count
}

// inForce is where the topology in force is to be read: in place if it is the same there. The zero
// FileRef: nothing is in force.
func (n *node) inForce() reconcile.FileRef {
	previous := n.verdict.Previous
	if previous == nil {
		return reconcile.FileRef{}
	}
	ref := reconcile.FileRef{Path: n.Paths.LastGood, Digest: previous.Digest}
	switch {
	case n.verdict.OnDisk.Digest == previous.Digest:
		ref.Path = n.Paths.Topology
	case n.verdict.Trial != nil:
		ref.Path = n.source.TrialTopology()
	}
	return ref
}

// fileInForce is the topology in force for a person; now is the time.
func (n *node) fileInForce(now time.Time) screen.File {
	ref := n.inForce()
	if ref.Digest == "" {
		return screen.File{}
	}
	return screen.File{Path: ref.Path, Digest: ref.Digest, Note: screen.Since(now.Sub(n.verdict.KeptAt))}
}

// daemon says what is wrong with the daemon; "" if it runs.
func (n *node) daemon(now time.Time) string {
	if agent.DaemonRuns(n.Paths) {
		return ""
	}
	const heals = "nothing heals this (journalctl -u podnetd)"
	s, err := agent.ReadStatus(n.Paths.Status)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "NOT RUNNING since boot or teardown: " + heals
	case err != nil || s.Daemon == nil || s.BootID != kernel.BootID():
		return "NOT RUNNING: " + heals
	}
	return fmt.Sprintf("NOT RUNNING since %s: %s", screen.Clock(s.WrittenAt, now), heals)
}
