package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/reference"
	"github.com/prometheus/client_golang/prometheus"
)

// TestReference checks that REFERENCE.md has podnetd's flags, exit codes and metrics.
func TestReference(t *testing.T) {
	flags, _, _, err := newFlags()
	if err != nil {
		t.Fatal(err)
	}
	page := reference.Head("podnetd: flags, exit codes, metrics") + usage + "\n\n## Flags\n\n" + reference.Flags(flags) +
		"## Endpoints of --metrics-addr\n\n" + reference.Table([]string{"path", "answer"}, [][]string{
		{"`/metrics`", "the metrics below, for Prometheus, and those of the Go runtime and of the process"},
		{"`/healthz`", "200 while the loop turns, else 503"},
		{"`/readyz`", "200 while the network equals the topology in force, else 503"},
	}) + "\n## Metrics\n\n" + reference.Table([]string{"name", "type", "labels", "meaning"}, metricRows(t))
	reference.Check(t, "REFERENCE.md", page)
}

// metricRows are podnet's own metrics in alphabetical order.
func metricRows(t *testing.T) [][]string {
	t.Helper()
	m := newMetrics("devel", sources{turned: func() float64 { return 0 }, overruns: func() uint64 { return 0 }})
	// A metric with labels has a type only when it has a value.
	m.topology.WithLabelValues("", "")
	m.objects.WithLabelValues("", "")
	for _, v := range []*prometheus.GaugeVec{m.rejected, m.conditions, m.addressesUsed, m.addressesCapacity, m.linkMTU} {
		v.WithLabelValues("")
	}
	types := map[string]string{}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		types[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	described := make(chan *prometheus.Desc)
	go func() {
		m.registry.Describe(described)
		close(described)
	}()
	desc := regexp.MustCompile(`^Desc{fqName: "(podnet_\w+)", help: ("(?:[^"\\]|\\.)*"), .*variableLabels: {(.*)}}$`)
	var rows [][]string
	for d := range described {
		if found := desc.FindStringSubmatch(d.String()); found != nil {
			help := ""
			if _, err := fmt.Sscanf(found[2], "%q", &help); err != nil || types[found[1]] == "" {
				t.Errorf("%s: type %q, %v", d, types[found[1]], err)
			}
			rows = append(rows, []string{"`" + found[1] + "`", types[found[1]], strings.ReplaceAll(found[3], ",", ", "), help})
		}
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return rows
}
