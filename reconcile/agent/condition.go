package agent

import (
	"fmt"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state"
)

// conditions say in sentences what an operator may have to know.
func (p *Pass) conditions(before *document.NodeStatus) []document.Condition {
	all := []document.Condition{p.ready(), p.degraded(), p.stale(), p.foreign(), p.trial(), unwatched()}
	for i := range all {
		all[i] = since(all[i], p.At, before)
	}
	return all
}

// since dates a condition: one that stays as it was keeps its time.
func since(c document.Condition, now time.Time, before *document.NodeStatus) document.Condition {
	c.LastTransitionTime = now
	if before != nil {
		if old := before.Condition(c.Type); old.Status == c.Status && old.Reason == c.Reason {
			c.LastTransitionTime = old.LastTransitionTime
		}
	}
	return c
}

func condition(typ string, is bool, reason, message string) document.Condition {
	status := "False"
	if is {
		status = "True"
	}
	return document.Condition{Type: typ, Status: status, Reason: reason, Message: message}
}

// ready: pods can start and talk as far as it is up to this node. Peers do not count.
func (p *Pass) ready() document.Condition {
	if reason, message := p.notReady(); reason != "" {
		return condition(document.Ready, false, reason, message)
	}
	return condition(document.Ready, true, "Converged", "the node's own network is as the topology asks")
}

func (p *Pass) notReady() (reason, message string) {
	switch {
	case p.Decision.Topology == nil && p.Err != nil:
		return document.ReasonPassFailed, fmt.Sprint(p.Err)
	case p.Decision.Topology == nil:
		return p.Decision.OnDisk.Reason, p.Decision.OnDisk.Message
	case p.Plan == nil:
		return document.ReasonPassFailed, fmt.Sprint(p.Err)
	case len(p.Plan.Node.PodCIDRs) == 0:
		return "NoPodCIDR",
			fmt.Sprintf("%s has no podCIDR yet (write one into %s:%d)", p.Plan.Node.Name, p.Decision.Path, p.Plan.Node.Line)
	case !p.Plan.Facts.IPLocal:
		return "NodeIPMissing", p.ipMissing()
	}
	if err := p.Plan.Want.Lacks; err != nil {
		return "NotConverged", err.Error()
	}
	for k, err := range p.Plan.Unknown {
		if err != nil && state.Kind(k).Own() {
			return "NotConverged", reconcile.Sentences([]error{err})
		}
	}
	for _, s := range p.Plan.Steps {
		if s.Kind.Own() && s.Result != reconcile.Done {
			return "NotConverged", outcome(s)
		}
	}
	if counting := p.Plan.Counting(); len(counting) > 0 {
		return document.ReasonConflict, reconcile.Sentence(counting[0])
	}
	return "", ""
}

// outcome says why a step is not done.
func outcome(s *reconcile.Step) string {
	if s.Err != nil {
		return s.Err.Error()
	}
	return fmt.Sprintf("%s %s is still to be done (%s)", s.Kind, s.Object().Name(), s.Op)
}

func (p *Pass) ipMissing() string {
	return fmt.Sprintf("%s, the ip of %s, is on no link of this host: add it to one, or correct %s:%d",
		p.Plan.Node.Sender(), p.Plan.Node.Name, p.Decision.Path, p.Plan.Node.Line)
}

// degraded: something is not as the topology asks, or cannot work.
func (p *Pass) degraded() document.Condition {
	switch {
	case p.Err != nil:
		return condition(document.Degraded, true, document.ReasonPassFailed, reconcile.Sentences(reconcile.Errors(p.Err)))
	case p.Plan != nil && !p.Plan.Facts.IPLocal:
		return condition(document.Degraded, true, "NodeIPMissing", p.ipMissing())
	case p.Plan != nil && !p.InSync():
		return condition(document.Degraded, true, "NotConverged", p.Plan.Left())
	}
	return condition(document.Degraded, false, "Converged", "")
}

// stale: the file on disk is not the one in force.
func (p *Pass) stale() document.Condition {
	switch v := p.Decision; {
	case v.OnDisk.Accepted:
		return condition(document.StaleTopology, false, "InForce", "")
	case v.Topology == nil && v.OnDisk.Reason == rollout.ReasonMissing:
		return condition(document.StaleTopology, false, rollout.ReasonMissing, v.OnDisk.Message)
	default:
		return condition(document.StaleTopology, true, v.OnDisk.Reason, v.OnDisk.Message)
	}
}

// foreign: somebody else's objects are in the way.
func (p *Pass) foreign() document.Condition {
	if p.Plan == nil || len(p.Plan.Conflicts) == 0 {
		if p.Squatter == "" {
			return condition(document.Foreign, false, "None", "")
		}
		return condition(document.Foreign, true, "SocketTaken", p.squatted())
	}
	message := reconcile.Sentence(p.Plan.Conflicts[0])
	if counting := p.Plan.Counting(); len(counting) > 0 { // the gravest first
		message = reconcile.Sentence(counting[0])
	}
	if n := len(p.Plan.Conflicts); n > 1 {
		message += fmt.Sprintf("; and %d more (podnetctl diff)", n-1)
	}
	if p.Squatter != "" {
		message += "; " + p.squatted()
	}
	return condition(document.Foreign, true, "ForeignObject", message)
}

// squatted says that another user's process has taken the name of the daemon's socket, which stops
// nothing.
func (p *Pass) squatted() string {
	return fmt.Sprintf("the socket %s is held by %s; that is not podnetd, which runs without it: end that process",
		daemonSocket, p.Squatter)
}

// unwatched: who keeps changing podnet's objects can be told only by a daemon, which puts its own
// word in the place of this.
func unwatched() document.Condition {
	return document.Condition{Type: document.Contention, Status: "Unknown", Reason: "NoDaemon",
		Message: "only a running podnetd sees who keeps changing its objects (systemctl start podnetd)"}
}

// trial: what is in force stays only if somebody says so. The message does not count the seconds,
// so that it stays the same.
func (p *Pass) trial() document.Condition {
	t := p.Decision.Trial
	switch over := p.Decision.Overdue; {
	case over != nil:
		return condition(document.ConfirmPending, true, "Overdue",
			fmt.Sprintf("the trial of %.19s is over and not undone yet, so it is not in force any more:"+
				" podnetctl rollback undoes it, or says which file cannot be written", over.Digest))
	case t == nil:
		return condition(document.ConfirmPending, false, "None", "")
	}
	return condition(document.ConfirmPending, true, "Trial",
		fmt.Sprintf("%.19s is on trial until %s, and is undone then (podnetctl confirm keeps it, podnetctl rollback undoes it now)",
			t.Digest, t.Until.Format(time.RFC3339)))
}
