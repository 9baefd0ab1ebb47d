package main

import (
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics is what Prometheus reads. All of it is kept from one pass to the next, so that a scrape
// asks the kernel nothing. Labels come from fixed lists: no peer, pod or address is one, or 10,000
// peers would be 10,000 series on each of 10,000 nodes. The digest is the exception, and there is
// one at a time.
type metrics struct {
	registry *prometheus.Registry

	inSync, peers, contended, lastSuccess, trialDeadline prometheus.Gauge

	passes   *prometheus.CounterVec
	passTook prometheus.Histogram
	changes  *prometheus.CounterVec
	healed   *prometheus.CounterVec

	topology, rejected, conditions, objects   *prometheus.GaugeVec
	addressesUsed, addressesCapacity, linkMTU *prometheus.GaugeVec

	healedBefore map[string]int
}

// sources are figures that change between passes. They may be asked on any goroutine.
type sources struct {
	turned   func() float64 // when the loop last turned, Unix seconds
	overruns func() uint64
}

// The values of the label result.
const (
	passUnchanged = "unchanged" // nothing was to be done
	passConverged = "converged" // it is as it should be now
	passFailed    = "failed"
	passWaiting   = "waiting" // there is no topology yet
)

func newMetrics(version string, from sources) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), healedBefore: map[string]int{}}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.gaugeVec("build_info", "1; the label says which podnetd this is.", "version").WithLabelValues(version).Set(1)
	m.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("loop_timestamp_seconds",
		"When the loop last showed that it turns; it does so every few seconds.")), from.turned))
	m.register(prometheus.NewCounterFunc(prometheus.CounterOpts(opts("netlink_overruns_total",
		"Times the kernel announced more changes than were taken in; each is followed by a look at everything.")),
		func() float64 { return float64(from.overruns()) }))

	m.inSync = m.gauge("in_sync", "1 while the network equals the topology in force.")
	m.peers = m.gauge("peers", "Nodes that this one can reach by the topology in force.")
	m.contended = m.gauge("contended_objects", "Objects that somebody else keeps changing back.")
	m.lastSuccess = m.gauge("last_success_timestamp_seconds", "When a pass last ended in sync; 0: none has.")
	m.trialDeadline = m.gauge("trial_deadline_timestamp_seconds",
		"When a topology on trial is rolled back unless it is confirmed; 0: there is no trial.")

	m.topology = m.gaugeVec("topology_info",
		"1; the labels say which topology is in force and whether it is the file's, the last good one or on trial.", "digest",
		"origin")
	m.rejected = m.gaugeVec("topology_rejected", "1 while the file on disk is not in force for this reason.", "reason")
	m.conditions = m.gaugeVec("condition", "1 while the condition is True.", "type")
	m.objects = m.gaugeVec("objects",
		"Objects by kind: desired, missing (desired and not so after the last pass) and foreign (somebody else's, in the way).", "kind", "state")
	m.addressesUsed = m.gaugeVec("addresses_used", "Pod addresses in use on this node.", "family")
	m.addressesCapacity = m.gaugeVec("addresses_capacity", "Pod addresses that this node's podCIDR has.", "family")
	m.linkMTU = m.gaugeVec("link_mtu_bytes", "MTU of the underlay link and of pods, bridge and tunnel (pod).", "link")

	m.passes = m.counterVec("passes_total", "Passes by result: unchanged, converged, failed, waiting (for a topology).",
		"result")
	m.changes = m.counterVec("changes_total",
		"Objects that passes have changed, by operation: create, update, delete, failed.", "op")
	m.healed = m.counterVec("healed_total", "Objects that others had changed and that were put right, by kind.", "kind")
	m.passTook = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "podnet", Name: "pass_duration_seconds", Help: "How long passes take.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
	})
	m.register(m.passTook)
	m.zero()
	return m
}

// zero has every counter begin at 0: what appears with its first event has no rate for it.
func (m *metrics) zero() {
	for _, result := range []string{passUnchanged, passConverged, passFailed, passWaiting} {
		m.passes.WithLabelValues(result)
	}
	for k := range state.Kind(state.KindCount) {
		m.healed.WithLabelValues(k.String())
	}
	m.countChanges(&document.PassStatus{})
}

func opts(name, help string) prometheus.Opts {
	return prometheus.Opts{Namespace: "podnet", Name: name, Help: help}
}

func (m *metrics) register(c prometheus.Collector) { m.registry.MustRegister(c) }

func (m *metrics) gauge(name, help string) prometheus.Gauge {
	return m.gaugeVec(name, help).WithLabelValues()
}

func (m *metrics) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts(opts(name, help)), labels)
	m.register(v)
	return v
}

func (m *metrics) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), labels)
	m.register(v)
	return v
}
