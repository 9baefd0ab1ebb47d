package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/kernel"
)

// Sight is the node as a look finds it, which changes nothing: a pass without its steps done.
type Sight struct {
	Pass
	Status     *document.NodeStatus // as seen now, with what only the daemon knows
	Written    *document.NodeStatus // the status file; nil: there is none of this boot
	Unread     error                // why the status file cannot be read; nil: it can, or there is none
	DaemonRuns bool
	Pods       int // -1 if they cannot be counted
}

// See judges the files, compares the kernel with the topology in force, and reads what the daemon
// wrote. It may be called again: the host may have got the address meanwhile that its entry is known
// by.
func (s *Session) See() (*Sight, error) {
	seen := &Sight{Pass: Pass{At: time.Now(), Squatter: Squatter()}, DaemonRuns: DaemonRuns(s.Paths), Pods: -1}
	if err := s.Judge(); err != nil {
		return nil, err
	}
	seen.Decision = s.Decision
	seen.Written, seen.Unread = ReadStatus(s.Paths.Status)
	seen.Unread = cmp.Or(files.InTheWay(s.Paths.Status), seen.Unread)
	if errors.Is(seen.Unread, fs.ErrNotExist) {
		seen.Unread = nil
	}
	if seen.Written != nil && seen.Written.BootID != kernel.BootID() {
		seen.Written = nil // it says nothing of this kernel
	}
	if t := s.Followed(); t != nil {
		seen.Plan, seen.Err = s.Compare(t)
		seen.Pods = s.Pods(t)
	}
	seen.Took = time.Since(seen.At)
	seen.Status = s.merge(seen)
	return seen, nil
}

// merge is the status as seen now, with what only the daemon knows from the file that it wrote.
func (s *Session) merge(seen *Sight) *document.NodeStatus {
	written := seen.Written
	status := seen.Pass.Status(written)
	status.Node = cmp.Or(status.Node, s.name())
	status.Version, status.BootID = s.version, kernel.BootID()
	s.locate(&status.Topology)
	_ = s.CountAddresses(status, &seen.Pass, written) // a store that cannot be read has no number
	if written == nil {
		status.LastPass = document.PassStatus{}
		return status
	}
	status.Version, status.LastPass = written.Version, written.LastPass
	status.HealedTotal, status.LastHealed = written.HealedTotal, written.LastHealed
	if seen.DaemonRuns {
		status.Daemon = written.Daemon
		status.Conditions = mergeConditions(status.Conditions, written.Conditions)
	}
	return status
}

// locate says where the topology in force is, whatever the pass would follow.
func (s *Session) locate(t *document.TopologyStatus) {
	ref := s.InForce()
	t.Path, t.Digest = ref.Path, ref.Digest
	if ref.Digest == "" {
		return
	}
	t.Origin = rollout.OriginLastGood
	switch {
	case s.Decision.Trial != nil:
		t.Origin = rollout.OriginTrial
	case ref.Path == s.Paths.Topology:
		t.Origin = rollout.OriginFile
	}
}

// name is the node's, as far as it is known: by its entry, by the operator's word, or else by the
// host.
func (s *Session) name() string {
	if t := s.Followed(); t != nil {
		if own, err := s.ID.Select(t); err == nil {
			return own.Name
		}
	}
	return cmp.Or(s.ID.Node, s.ID.Hostname)
}

// mergeConditions takes those that can be seen now, and the daemon's word for all others. Pods with
// stale addresses come and go between passes, so that they are seen now too.
func mergeConditions(seen, daemon []document.Condition) []document.Condition {
	var all []document.Condition
	known := map[string]bool{}
	said := map[string]string{} // reasons of the daemon's
	for _, c := range daemon {
		said[c.Type] = c.Reason
	}
	for _, c := range seen {
		stale := c.Reason == document.ReasonStalePods || said[c.Type] == document.ReasonStalePods
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

// whyNot collects the reasons for the answer no.
type whyNot []string

func (a *whyNot) add(is bool, format string, args ...any) {
	if is {
		*a = append(*a, fmt.Sprintf(format, args...))
	}
}

// Answer says why the node is not as it should be, the gravest reason first. No reason is the
// answer yes. If digest is not "", the topology in force has to be that one.
func (s *Session) Answer(seen *Sight, digest string) []string {
	var a whyNot
	s.topologyAnswer(&a)
	a.add(seen.Err != nil, "%v", seen.Err)
	planned := 0
	if p := seen.Plan; p != nil {
		for _, err := range p.Errors() {
			a.add(true, "%v", err)
		}
		planned = len(p.Steps) + len(p.Counting())
		a.add(planned > 0, "%s", p.Left())
	}
	ready := seen.Status.Condition(document.Ready)
	a.add(ready.Status != "True" && seen.Plan != nil && planned == 0, "not ready: %s", ready.Message)
	a.add(!seen.DaemonRuns, "podnetd does not run: nothing heals this node")
	if seen.DaemonRuns {
		held := seen.Status.Condition(document.Degraded)
		a.add(held.Reason == document.ReasonLockHeld, "%s", held.Message)
		a.add(seen.silent(), "podnetd runs, but its last pass is not of the last %d resyncs"+
			" (journalctl -u podnetd)", patience)
	}
	a.add(digest != "" && seen.Status.Topology.Digest != digest, "in force is not %.19s", digest)
	a.add(seen.Unread != nil, "what podnetd says is not known: %v", seen.Unread)
	return a
}

// topologyAnswer is about the file on disk and the trial.
func (s *Session) topologyAnswer(a *whyNot) {
	v, followed := s.Decision, s.Followed() != nil
	missing := v.OnDisk.Reason == rollout.ReasonMissing
	refused := followed && !v.OnDisk.Accepted
	a.add(!followed && missing, "no topology at %s (put it there)", s.Paths.Topology)
	a.add(!followed && !missing, "no topology yet: %s", v.OnDisk.Message)
	a.add(v.Overdue != nil, "the trial is over and not undone yet (podnetctl rollback does it, or says why not)")
	a.add(refused && missing, "the file is missing; the network runs on the last good one")
	a.add(refused && !missing, "new file refused; the network runs on the last good one")
	fresh := v.Previous == nil || v.Previous.Digest != v.OnDisk.Digest
	a.add(v.OnDisk.Accepted && fresh, "the file on disk is not in force yet")
	if v.Trial != nil {
		a.add(true, "on trial, and undone in %s unless confirmed (podnetctl confirm; podnetctl rollback undoes it now)",
			s.Source.Left(v.Trial).Round(time.Second))
	}
}

// patience is how many resyncs a daemon may let pass without a word.
const patience = 3

// silent reports whether the daemon has not finished a pass for too long.
func (seen *Sight) silent() bool {
	daemon, last := seen.Status.Daemon, seen.Status.LastPass
	if daemon == nil {
		return true
	}
	ended := last.At.Add(time.Duration(last.DurationSeconds * float64(time.Second)))
	return seen.At.Sub(ended) > patience*time.Duration(daemon.ResyncSeconds*float64(time.Second))
}
