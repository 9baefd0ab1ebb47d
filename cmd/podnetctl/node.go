package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/podnet/podnet/cmd/internal/privilege"
	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/state/kernel"
)

// node is this node, open for one verb, with what only its screens need.
type node struct {
	*agent.Session
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
	return enter(s)
}

// enter opens this node whatever this process may look at.
func enter(s agent.Settings) (*node, error) {
	session, err := agent.OpenSession(s, version)
	if err != nil {
		return nil, err
	}
	return &node{session, pluginPrograms{}}, nil
}

// proposed is the topology of a FILE argument, or the one in place. The error of one that this node
// cannot follow is for c.invalid.
func (c *cli) proposed(n *node, args []string) (file, error) {
	f, err := c.read(append(args, n.Paths.Topology)[0], n.Paths, n.Source.Parse)
	if err != nil {
		return f, err
	}
	if _, err := n.ID.Select(f.topology); err != nil {
		return f, unlisted(f.topology, err)
	}
	return f, nil
}

// fileInForce is the topology in force for a person; now is the time.
func (n *node) fileInForce(now time.Time) screen.File {
	ref := n.InForce()
	if ref.Digest == "" {
		return screen.File{}
	}
	return screen.File{Path: ref.Path, Digest: ref.Digest, Note: screen.Since(now.Sub(n.Decision.KeptAt))}
}

// daemon says what is wrong with the daemon; "" if it runs.
func (n *node) daemon(now time.Time) string {
	if agent.DaemonRuns(n.Paths) {
		return ""
	}
	return n.noDaemon(now)
}

// noDaemon says since when no daemon runs, as far as its last status tells.
func (n *node) noDaemon(now time.Time) string {
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
