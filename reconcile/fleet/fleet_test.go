package fleet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
)

var (
	digestA = "sha256:" + strings.Repeat("a", 64)
	digestB = "sha256:" + strings.Repeat("b", 64)
)

// nodeStatus is a status in which all is well but for what replace says, in pairs.
func nodeStatus(node, digest string, replace ...string) string {
	text := fmt.Sprintf(`{"apiVersion":"podnet.dev/v1alpha1","kind":"NodeStatus","node":%q,"mtu":1450,"daemon":{"pid":1},
		"topology":{"digest":%q,"onDisk":{"accepted":true}},"inSync":true,"news":1,
		"conditions":[{"type":"Ready","status":"True","reason":"Converged"},{"type":"Other","status":"False"}]}`, node, digest)
	return strings.NewReplacer(replace...).Replace(text)
}

// plan is one with the fields given.
func plan(node, fields string) string {
	return fmt.Sprintf(`{"apiVersion":"podnet.dev/v1alpha1","kind":"Plan","node":%q,"proposed":{"digest":%q},%s}`, node, digestA, fields)
}

func mustRead(t *testing.T, documents ...string) []Report {
	t.Helper()
	var all []Report
	for i, d := range documents {
		r, err := Read(fmt.Sprintf("host-%d.json", i), []byte(d))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func topology(t *testing.T, names ...string) *schema.Topology {
	t.Helper()
	text := "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata: {name: lab}\nnodes:\n"
	for i, name := range names {
		text += fmt.Sprintf("- {name: %s, ip: 192.0.2.%d, podCIDRs: [10.244.%d.0/24]}\n", name, i+1, i)
	}
	parsed, err := schema.Parse("topology.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestReadStatus(t *testing.T) {
	for name, c := range map[string]struct {
		replace        []string
		reason, detail string
	}{
		"well":                  {nil, "", ""},
		"nothing in force":      {[]string{digestA, "", `"accepted":true`, `"accepted":false,"message":"m"`}, "no topology in force", "m"},
		"a refused file":        {[]string{`"accepted":true`, `"accepted":false,"reason":"RemovalGuard","message":"m"`}, "StaleTopology RemovalGuard", "m"},
		"not ready":             {[]string{`"status":"True","reason":"Converged"`, `"status":"False","reason":"NoPodCIDR","message":"m"`}, "not Ready NoPodCIDR", "m"},
		"a condition":           {[]string{`"type":"Other","status":"False"`, `"type":"Contention","status":"True","reason":"Fight","message":"m"`}, "Contention Fight", "m"},
		"a harmless conflict":   {[]string{`"type":"Other","status":"False"`, `"type":"Conflict","status":"True"`}, "", ""},
		"a harmful conflict":    {[]string{`"type":"Other","status":"False"`, `"type":"Conflict","status":"True","reason":"R"`, `"inSync":true`, `"inSync":false`}, "Conflict R", ""},
		"a condition of others": {[]string{`"type":"Other","status":"False"`, `"type":"NodeDrained","status":"True","reason":"R"`}, "", ""},
		"drift without a cause": {[]string{`"inSync":true`, `"inSync":false`}, "the kernel is not as the topology asks", ""},
		"no daemon":             {[]string{`"daemon":{"pid":1},`, ""}, "podnetd does not run", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustRead(t, nodeStatus("node-a", digestA, c.replace...))[0]
			if r.Reason != c.reason || r.Detail != c.detail || (r.Health == InSync) != (c.reason == "") || r.Plan {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestReadPlan(t *testing.T) {
	const objects = `"objects":{"create":3,"update":1,"delete":1}`
	inForce := fmt.Sprintf(`"inForce":{"digest":%q},`, digestB)
	for name, c := range map[string]struct {
		document, reason, detail string
		verdict                  Health
		impact                   string
	}{
		"nothing": {plan("a", inForce+`"inSync":true`), "nothing to do", "", InSync, "none"},
		"a peer":  {plan("a", inForce+`"summary":{"peers":{"added":1},`+objects+`}`), "+1 peer (5 objects)", "", Pending, "none"},
		"peers": {plan("a", inForce+`"steps":[{"impact":"none"},{"impact":"partition"},{"impact":"brief"}],"summary":{"peers":{"added":2,"changed":1,"removed":3},`+objects+`}`),
			"+2 ~1 -3 peers (5 objects)", "", Pending, "partition"},
		"the first":      {plan("a", `"summary":{"peers":{"added":2},`+objects+`}`), "first apply, 5 objects", "", Pending, "none"},
		"own":            {plan("a", inForce+`"summary":{`+objects+`}`), "5 objects", "", Pending, "none"},
		"drift":          {plan("a", strings.ReplaceAll(inForce, digestB, digestA)+`"summary":{`+objects+`}`), "drift, 5 objects", "", Pending, "none"},
		"refused":        {plan("a", inForce+`"guard":{"passes":false,"message":"m"}`), Refused, "m", NotInSync, "none"},
		"let pass":       {plan("a", inForce+`"inSync":true,"guard":{"passes":true,"message":"m"}`), "nothing to do", "", InSync, "none"},
		"errors":         {plan("a", inForce+`"errors":["e","f"]`), "error", "e", NotInSync, "none"},
		"invalid":        {`{"apiVersion":"podnet.dev/v1alpha1","kind":"Validation","errors":[{"line":2,"column":3,"message":"m"}]}`, "invalid file", "2:3: m", NotInSync, "none"},
		"refused as new": {`{"apiVersion":"podnet.dev/v1alpha1","kind":"Validation","valid":true,"guard":{"passes":false,"message":"m"}}`, Refused, "m", NotInSync, "none"},
		"no podnet yet":  {`{"apiVersion":"podnet.dev/v1alpha1","kind":"DesiredState","node":"a","topology":{"digest":"x"},"objects":[{},{}]}`, "new node, 2 objects", "", Pending, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustRead(t, c.document)[0]
			if r.Reason != c.reason || r.Detail != c.detail || r.Health != c.verdict || string(r.Impact) != c.impact || !r.Plan {
				t.Errorf("%+v", r)
			}
			if r.Node != "a" && r.Node != "host-0" {
				t.Errorf("the node is %s", r.Node)
			}
		})
	}
}

func TestReadSomethingElse(t *testing.T) {
	for document, says := range map[string]string{
		"garbage": "not what podnetctl", `{"kind":"Plan"}`: "apiVersion", `[]`: "not what podnetctl",
		`{"apiVersion":"podnet.dev/v1alpha1","kind":"PodList"}`:                   `kind is "PodList"`,
		`{"apiVersion":"podnet.dev/v1alpha1","kind":"NodeStatus","peers":"many"}`: "peers",
		`{"apiVersion":"podnet.dev/v1alpha1","kind":"Validation","valid":true}`:   "says nothing of a node",
	} {
		if r, err := Read("x.json", []byte(document)); err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "x.json: ") {
			t.Errorf("%s: %+v, %v", document, r, err)
		}
	}
}

func TestFleet(t *testing.T) {
	all := mustRead(t, nodeStatus("n1", digestA), nodeStatus("n2", digestA), nodeStatus("n3", digestA), nodeStatus("n4", digestB),
		nodeStatus("n5", digestA, "1450", "1400", `"inSync":true`, `"inSync":false`), nodeStatus("stray", digestA))
	s, err := New(all, Expectation{Digest: digestA, Topology: topology(t, "n5", "n1", "n2", "n3", "n4", "n6")})
	if err != nil {
		t.Fatal(err)
	}
	got := s.Document()
	want := &document.FleetStatus{APIVersion: schema.APIVersion, Kind: "FleetStatus", Expected: document.FleetExpectation{Digest: digestA, Nodes: 6},
		Groups: []document.FleetGroup{
			{Digest: digestA, InSync: true, Nodes: []string{"n1", "n2", "n3", "stray"}},
			{Digest: digestA, Failed: true, Reason: "the kernel is not as the topology asks", Nodes: []string{"n5"}},
			{Digest: digestB, InSync: true, Reason: OtherFile, Nodes: []string{"n4"}},
		},
		Missing: []string{"n6"}, Strangers: []string{"stray"},
		MTUs: []document.MTU{{MTU: 1400, Nodes: []string{"n5"}}, {MTU: 1450, Nodes: []string{"n1", "n2", "n3", "n4", "stray"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if names := s.Names(got.Groups[0].Nodes, 0); names != "n1 .. n3, stray" {
		t.Errorf("names %s", names)
	}
	if names := s.Names([]string{"n5", "n2", "n4", "stray"}, 2); names != "n5, n2 and 2 more" {
		t.Errorf("names %s", names)
	}
	if missing := s.Nodes[5]; missing.Health != Missing || missing.IP != "192.0.2.6" || len(missing.PodCIDRs) != 1 {
		t.Errorf("%+v", missing)
	}
}

func TestGood(t *testing.T) {
	a, b := nodeStatus("a", digestA), nodeStatus("b", digestA)
	other := nodeStatus("b", digestB)
	for name, c := range map[string]struct {
		documents []string
		want      Expectation
		good      bool
	}{
		"two":                 {[]string{a, b}, Expectation{}, true},
		"two files":           {[]string{a, other}, Expectation{}, false},
		"another than wanted": {[]string{a, b}, Expectation{Digest: digestB}, false},
		"that wanted":         {[]string{a, b}, Expectation{Digest: digestA}, true},
		"one missing":         {[]string{a}, Expectation{Digest: digestA, Topology: topology(t, "a", "b")}, false},
		"one too many":        {[]string{a, b}, Expectation{Digest: digestA, Topology: topology(t, "a")}, false},
		"a change":            {[]string{plan("a", `"inSync":false`)}, Expectation{}, false},
	} {
		s, err := New(mustRead(t, c.documents...), c.want)
		if err != nil || s.Good() != c.good {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func TestInconsistent(t *testing.T) {
	for says, documents := range map[string][]string{
		"no reports": nil, "both of a": {nodeStatus("a", digestA), nodeStatus("a", digestB)}, "do not go together": {nodeStatus("a", digestA), plan("b", `"inSync":true`)},
	} {
		if _, err := New(mustRead(t, documents...), Expectation{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
