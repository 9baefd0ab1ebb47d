package main

import (
	"github.com/podnet/podnet/reconcile"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics is the last status as Prometheus reads it, and counters of what came before it.
type metrics struct {
	registry  *prometheus.Registry
	inSync    prometheus.Gauge
	peers     prometheus.Gauge
	passAt    prometheus.Gauge
	passTook  prometheus.Histogram
	objects   *prometheus.GaugeVec
	addresses *prometheus.GaugeVec
	condition *prometheus.GaugeVec
	topology  *prometheus.GaugeVec
	changes   *prometheus.CounterVec
	healed    *prometheus.CounterVec

	healedBefore map[string]int
}

func newMetrics(version string) *metrics {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "podnet", Name: name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "podnet", Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry:     prometheus.NewRegistry(),
		healedBefore: map[string]int{},
		inSync:       prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "podnet", Name: "in_sync", Help: "1 while the network equals the topology in force."}),
		peers:        prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "podnet", Name: "peers", Help: "Nodes that this one can reach."}),
		passAt:       prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "podnet", Name: "last_pass_timestamp_seconds", Help: "When the last pass began."}),
		passTook: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "podnet", Name: "pass_duration_seconds", Help: "How long passes take.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		objects:   gauge("objects", "Objects that the topology asks for, by kind.", "kind"),
		addresses: gauge("pod_addresses", "Addresses of this node's podCIDRs, by family and use.", "family", "use"),
		condition: gauge("condition", "1 while the condition is True.", "type"),
		topology:  gauge("topology_info", "The topology in force.", "digest", "origin"),
		changes:   counter("changes_total", "Objects changed, by operation; failed ones count as failed.", "op"),
		healed:    counter("healed_total", "Objects that others had changed and that were put right, by kind.", "kind"),
	}
	info := gauge("build_info", "This podnetd.", "version")
	info.WithLabelValues(version).Set(1)
	m.registry.MustRegister(m.inSync, m.peers, m.passAt, m.passTook, m.objects, m.addresses, m.condition, m.topology, m.changes, m.healed, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe takes a pass in.
func (m *metrics) observe(s *reconcile.NodeStatus) {
	m.inSync.Set(number(s.InSync))
	m.peers.Set(float64(s.Peers))
	m.passAt.Set(float64(s.LastPass.At.UnixMilli()) / 1000)
	m.passTook.Observe(s.LastPass.DurationSeconds)
	m.objects.Reset()
	for kind, n := range s.Resources {
		m.objects.WithLabelValues(kind).Set(float64(n))
	}
	for family, use := range s.Addresses {
		m.addresses.WithLabelValues(family, "used").Set(float64(use.Used))
		m.addresses.WithLabelValues(family, "total").Set(float64(use.Total))
	}
	for _, c := range s.Conditions {
		m.condition.WithLabelValues(c.Type).Set(number(c.Status == "True"))
	}
	m.topology.Reset()
	m.topology.WithLabelValues(s.Topology.Digest, s.Topology.Origin).Set(1)
	for op, n := range map[string]int{"create": s.LastPass.Created, "update": s.LastPass.Updated, "delete": s.LastPass.Deleted, "failed": s.LastPass.Failed} {
		m.changes.WithLabelValues(op).Add(float64(n))
	}
	for kind, n := range s.HealedTotal {
		m.healed.WithLabelValues(kind).Add(float64(n - m.healedBefore[kind]))
		m.healedBefore[kind] = n
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
