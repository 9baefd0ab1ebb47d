package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/kernel"
)

// patience is how many resyncs a daemon may let pass without a word.
const patience = 3

// look reads the files, the kernel and what the daemon wrote, and judges them. It may be called
// again: the host may have got the address meanwhile that its entry is known by.
func (n *node) look(digest string) (screen.Status, error) {
	now := time.Now()
	s := screen.Status{Now: now, NoDaemon: n.daemon(now), Pods: -1}
	var err error
	if n.id, err = n.engine.Identity(); err != nil {
		return s, err
	}
	n.verdict = n.source.Judge(n.id)
	written, unread := agent.ReadStatus(n.Paths.Status)
	unread = cmp.Or(files.InTheWay(n.Paths.Status), unread)
	if written != nil && written.BootID != kernel.BootID() {
		written = nil // of another boot: it says nothing of this kernel
	}
	pass := agent.Pass{At: s.Now, Verdict: n.verdict, Squatter: agent.Squatter()}
	if t := n.followed(); t != nil {
		pass.Plan, pass.Err = n.compare(t)
		s.Pods = n.pods(t)
		s.Tunnel, s.Network = t.Network.VXLAN, t.Network.CNI.Name
	}
	pass.Took = time.Since(s.Now)
	s.NodeStatus = n.merge(&pass, written, s.NoDaemon == "")
	s.Answer = n.answer(&pass, s, digest)
	if unread != nil && !errors.Is(unread, fs.ErrNotExist) { // what the kernel says does not depend on it
		s.Answer = append(s.Answer, fmt.Sprintf("what podnetd says is not known: %v", unread))
	}
	if pass.Plan != nil {
		s.Facts = pass.Plan.Facts
	}
	return s, nil
}

// followed is the topology in force, or the one that will be if nothing ever was.
func (n *node) followed() *schema.Topology {
	if n.verdict.Previous != nil {
		return n.verdict.Previous
	}
	return n.verdict.Topology
}

func (n *node) compare(t *schema.Topology) (*reconcile.Plan, error) {
	view, err := n.engine.ViewAs(n.id, t, t)
	if err != nil {
		return nil, err
	}
	return n.engine.Look(view)
}

// merge is the status as seen now, with what only the daemon knows from the file that it wrote.
func (n *node) merge(pass *agent.Pass, written *document.NodeStatus, runs bool) *document.NodeStatus {
	s := pass.Status(written)
	if s.Node == "" {
		s.Node = n.name()
	}
	s.Version, s.BootID = version, kernel.BootID()
	if ref := n.inForce(); ref.Digest != "" {
		s.Topology.Path, s.Topology.Digest, s.Topology.Origin = ref.Path, ref.Digest, rollout.OriginLastGood
		switch {
		case n.verdict.Trial != nil:
			s.Topology.Origin = rollout.OriginTrial
		case ref.Path == n.Paths.Topology:
			s.Topology.Origin = rollout.OriginFile
		}
	} else {
		s.Topology.Path, s.Topology.Digest = "", ""
	}
	_ = n.engine.CountAddresses(s, pass, written) // a store that cannot be read has no number
	if written == nil {
		s.LastPass = document.PassStatus{}
		return s
	}
	s.Version, s.LastPass, s.HealedTotal, s.LastHealed = written.Version, written.LastPass, written.HealedTotal, written.LastHealed
	if runs {
		s.Daemon = written.Daemon
		s.Conditions = conditions(s.Conditions, written.Conditions)
	}
	return s
}

// name is the node's, as far as it is known: by its entry, by the operator's word, or else by the
// host.
func (n *node) name() string {
	if t := n.followed(); t != nil {
		if own, err := n.id.Select(t); err == nil {
			return own.Name
		}
	}
	return cmp.Or(n.id.Node, n.id.Hostname)
}

// conditions are those that can be seen now, and the daemon's word for all others.
func conditions(seen, daemon []document.Condition) []document.Condition {
	var all []document.Condition
	known := map[string]bool{}
	said := map[string]string{} // reasons of the daemon's
	for _, c := range daemon {
		said[c.Type] = c.Reason
	}
	for _, c := range seen {
		stale := c.Reason == document.ReasonStalePods || said[c.Type] == document.ReasonStalePods // pods come and go between passes
		if stale || c.Type != document.Degraded && c.Type != document.Contention {
			all, known[c.Type] = append(all, c), true
		}
	}
	for _, c := range daemon {
		if !known[c.Type] {
			all = append(all, c)
		}
	}
	return all
}

// answer is why the answer is no, the gravest first; nothing: it is yes.
func (n *node) answer(pass *agent.Pass, s screen.Status, digest string) []string {
	var why []string
	no := func(is bool, format string, args ...any) {
		if is {
			why = append(why, fmt.Sprintf(format, args...))
		}
	}
	v, followed := n.verdict, n.followed()
	no(followed == nil && v.OnDisk.Reason == rollout.ReasonMissing, "no topology at %s (put it there)", n.Paths.Topology)
	no(followed == nil && v.OnDisk.Reason != rollout.ReasonMissing, "no topology yet: %s", v.OnDisk.Message)
	no(v.Overdue != nil, "the trial is over and not undone yet (podnetctl rollback does it, or says why not)")
	no(followed != nil && !v.OnDisk.Accepted && v.OnDisk.Reason == rollout.ReasonMissing, "the file is missing; the network runs on the last good one")
	no(followed != nil && !v.OnDisk.Accepted && v.OnDisk.Reason != rollout.ReasonMissing, "new file refused; the network runs on the last good one")
	no(v.OnDisk.Accepted && (v.Previous == nil || v.Previous.Digest != v.OnDisk.Digest), "the file on disk is not in force yet")
	if v.Trial != nil {
		no(true, "on trial, and undone in %s unless confirmed (podnetctl confirm; podnetctl rollback undoes it now)",
			n.source.Left(v.Trial).Round(time.Second))
	}
	no(pass.Err != nil, "%v", pass.Err)
	if p := pass.Plan; p != nil {
		for _, err := range p.Errors() {
			no(true, "%v", err)
		}
		no(len(p.Steps)+len(p.Counting()) > 0, "%s", p.Left())
	}
	ready := s.Condition(document.Ready)
	no(ready.Status != "True" && pass.Plan != nil && len(pass.Plan.Steps)+len(pass.Plan.Counting()) == 0, "not ready: %s", ready.Message)
	no(s.NoDaemon != "", "podnetd does not run: nothing heals this node")
	held := s.Condition(document.Degraded)
	no(s.NoDaemon == "" && held.Reason == document.ReasonLockHeld, "%s", held.Message)
	no(s.NoDaemon == "" && silent(s), "podnetd runs, but its last pass is not of the last %d resyncs (journalctl -u podnetd)", patience)
	no(digest != "" && s.Topology.Digest != digest, "in force is not %s", screen.ShortDigest(digest))
	return why
}

// silent says that the daemon has not finished a pass for too long.
func silent(s screen.Status) bool {
	if s.Daemon == nil {
		return true
	}
	ended := s.LastPass.At.Add(time.Duration(s.LastPass.DurationSeconds * float64(time.Second)))
	return s.Now.Sub(ended) > patience*time.Duration(s.Daemon.ResyncSeconds*float64(time.Second))
}
