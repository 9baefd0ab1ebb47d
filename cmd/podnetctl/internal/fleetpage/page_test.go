package fleetpage

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/fleet"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/test/lab"
)

// What is shown has no network: a page that fetches something would lack it.
func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// name is that of node i; some are long.
func name(i int) string {
	if i%10 == 7 {
		return fmt.Sprintf("rack%d-with-a-long-name-node%d.example.net", i%4, i)
	}
	return fmt.Sprintf("node-%03d", i)
}

func topology(t *testing.T, n int) *schema.Topology {
	t.Helper()
	text := "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata: {name: lab}\nnodes:\n"
	for i := range n {
		text += fmt.Sprintf("- {name: %s, ip: 198.18.%d.%d, podCIDRs: [10.%d.%d.0/24, 'fd00:10:244:%x::/64']}\n", name(i), (i+11)>>8, (i+11)&255, 244+i>>8, i&255, i+1)
	}
	parsed, err := schema.Parse("topology.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// status is that of n nodes: one is out of sync, one is on another file if there are more than
// three, the last is missing.
func status(t *testing.T, n int) *fleet.Status {
	t.Helper()
	want := topology(t, n)
	var reports []fleet.Report
	for i, node := range want.Nodes[:n-1] {
		r := fleet.Report{File: node.Name + ".json", Node: node.Name, Digest: want.Digest, IP: node.IP.String(), MTU: 1450,
			PodCIDRs: []string{node.PodCIDRs[0].String(), node.PodCIDRs[1].String()}, WrittenAt: time.Unix(1e9, 0),
			Addresses: map[string]document.PoolUse{"ipv4": {Used: i % 254, Total: 253}, "ipv6": {Used: i % 254, Total: 1<<53 - 1}}}
		switch i {
		case 1:
			r.Health, r.Reason, r.Detail = fleet.NotInSync, "Degraded StepsFailed", "route 10.244.0.0/24: <script>alert(1)</script>"
		case 2:
			r.Digest = "sha256:" + strings.Repeat("0", 64)
		}
		reports = append(reports, r)
	}
	s, err := fleet.New(reports, fleet.Expectation{Topology: want})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The page stands alone, and what nodes say is text to it.
func TestPageStandsAlone(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, status(t, 5), topology(t, 5)); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if found := regexp.MustCompile(`(?i)https?:|src=|href=|url\(|@import|<script|<link`).FindString(page); found != "" {
		t.Errorf("the page holds %s", found)
	}
	for _, want := range []string{"default-src &#39;none&#39;", "&lt;script&gt;alert(1)", "2 of 5 nodes in sync, 1 on another file, 1 not in sync, 1 missing",
		"lab · podnet fleet", "10.244.4.0/24", "3 of 253 addresses", "as of 2001-09-09 01:46:40Z"} {
		if !strings.Contains(page, want) && !strings.Contains(page, strings.ReplaceAll(want, "&#39;", "'")) {
			t.Errorf("the page does not say %s", want)
		}
	}
	if tiles := strings.Count(page, `<g class="tile`); tiles != 2*5 {
		t.Errorf("%d nodes are drawn", tiles)
	}
}
