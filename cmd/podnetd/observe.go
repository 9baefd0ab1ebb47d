package main

import (
	"cmp"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
)

// observe takes a pass in. It keeps nothing of p.
func (m *metrics) observe(s *document.NodeStatus, p *agent.Pass) {
	m.inSync.Set(number(s.InSync))
	m.peers.Set(float64(s.Peers))
	m.contended.Set(float64(p.Contended))
	m.passes.WithLabelValues(result(s, p)).Inc()
	m.passTook.Observe(s.LastPass.DurationSeconds)
	if s.InSync {
		m.lastSuccess.Set(float64(s.WrittenAt.UnixMilli()) / 1000)
	}
	m.observeConditions(s)
	m.observeTopology(&s.Topology)
	m.trialDeadline.Set(0)
	if t := cmp.Or(p.Decision.Trial, p.Decision.Overdue); t != nil {
		m.trialDeadline.Set(float64(t.Until.Unix()))
	}
	m.observeNode(s, p.Plan)
	m.countObjects(s.Resources, p.Plan)
	m.countChanges(&s.LastPass)
	for kind, n := range s.HealedTotal {
		m.healed.WithLabelValues(kind).Add(float64(n - m.healedBefore[kind]))
		m.healedBefore[kind] = n
	}
}

func (m *metrics) observeConditions(s *document.NodeStatus) {
	for _, c := range s.Conditions {
		m.conditions.WithLabelValues(c.Type).Set(number(c.Status == "True"))
	}
}

func result(s *document.NodeStatus, p *agent.Pass) string {
	switch {
	case p.Plan == nil && p.Err == nil:
		return passWaiting
	case !s.InSync:
		return passFailed
	case len(p.Plan.Steps) > 0:
		return passConverged
	}
	return passUnchanged
}

// observeTopology forgets the topology before: it must not look as if two were in force.
func (m *metrics) observeTopology(t *document.TopologyStatus) {
	m.topology.Reset()
	if t.Digest != "" {
		m.topology.WithLabelValues(t.Digest, t.Origin).Set(1)
	}
	m.rejected.Reset()
	if !t.OnDisk.Accepted {
		m.rejected.WithLabelValues(t.OnDisk.Reason).Set(1)
	}
}

// observeNode is about this node's own part. Without a plan nothing is known of it, and what was
// known stays.
func (m *metrics) observeNode(s *document.NodeStatus, plan *reconcile.Plan) {
	if plan == nil {
		return
	}
	m.linkMTU.WithLabelValues("pod").Set(float64(s.MTU))
	m.linkMTU.WithLabelValues("underlay").Set(float64(plan.Facts.UnderlayMTU))
	m.addressesUsed.Reset() // a podCIDR may be gone
	m.addressesCapacity.Reset()
	for family, use := range s.Addresses {
		m.addressesUsed.WithLabelValues(family).Set(float64(use.Used))
		m.addressesCapacity.WithLabelValues(family).Set(float64(use.Total))
	}
}

func (m *metrics) countObjects(desired map[string]int, plan *reconcile.Plan) {
	if plan == nil {
		return
	}
	missing, foreign := map[string]int{}, map[string]int{}
	for _, step := range plan.Steps {
		if step.Op != state.Delete && step.Result != reconcile.Done {
			missing[step.Kind.String()]++
		}
	}
	for _, c := range plan.Conflicts {
		foreign[c.Key.Kind.String()]++
	}
	for k := range state.Kind(state.KindCount) {
		kind := k.String()
		m.objects.WithLabelValues(kind, "desired").Set(float64(desired[kind]))
		m.objects.WithLabelValues(kind, "missing").Set(float64(missing[kind]))
		m.objects.WithLabelValues(kind, "foreign").Set(float64(foreign[kind]))
	}
}

func (m *metrics) countChanges(last *document.PassStatus) {
	m.changes.WithLabelValues("create").Add(float64(last.Created))
	m.changes.WithLabelValues("update").Add(float64(last.Updated))
	m.changes.WithLabelValues("delete").Add(float64(last.Deleted))
	m.changes.WithLabelValues("failed").Add(float64(last.Failed))
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
