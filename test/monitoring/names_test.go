package monitoring

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// shipped is a file of the examples.
func shipped(name string) string { return filepath.Join("../../examples/prometheus", name) }

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(shipped(name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRules(t *testing.T) {
	promtool(t, "", "check", "rules", shipped("podnet.rules.yaml"))
	promtool(t, "", "test", "rules", shipped("podnet.rules.test.yaml"))
	promtool(t, "", "check", "config", shipped("prometheus.yaml"))
}

// alert is a rule as far as it matters here.
type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	Annotations map[string]string `json:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alert `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(read(t, "podnet.rules.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no rules")
	}
	return all
}

// Every alert says what to do, has a test in which it is raised, and one in which it is not.
func TestEveryAlertIsTested(t *testing.T) {
	var file struct {
		Tests []struct {
			Cases []struct {
				Alert string `json:"alertname"`
				Want  []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(read(t, "podnet.rules.test.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	raised, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			raised[c.Alert] = raised[c.Alert] || len(c.Want) > 0
			silent[c.Alert] = silent[c.Alert] || len(c.Want) == 0
		}
	}
	for _, a := range alerts(t) {
		if !raised[a.Alert] || !silent[a.Alert] {
			t.Errorf("%s: raised in a test: %v; silent in one: %v", a.Alert, raised[a.Alert], silent[a.Alert])
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s lacks a summary or a description", a.Alert)
		}
	}
}

// Prometheus itself reads each query of the dashboard, as the rule that it takes to check it.
func TestQueriesAreWellFormed(t *testing.T) {
	variables := strings.NewReplacer("$__rate_interval", "5m", "$job", "podnet", "$instance", ".*")
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			rules = append(rules, rule{fmt.Sprintf("query_%d", len(rules)), variables.Replace(target.Expr)})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := errors.Join(err, os.WriteFile(path, text, 0o644)); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", path)
}

// panel is a part of the dashboard.
type panel struct {
	Title   string `json:"title"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal(read(t, "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Panels) == 0 {
		t.Fatal("no panels")
	}
	return dashboard.Panels
}

var (
	nameAndLabels = regexp.MustCompile(`\b((?:podnet|process|go)_[a-z_]+)(?:\{([^}]*)\})?`)
	labelName     = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	aggregation   = regexp.MustCompile(`\b(?:by|without) \(([^)]*)\)`)
)

// exposed is what a daemon shows over some time: by metric, its labels.
func exposed(t *testing.T) map[string]map[string]bool {
	t.Helper()
	n, topology := one(t)
	body := scrape(t, n)
	n.Write(topology.String() + "nonsense: true\n") // there is a reason only while a file is refused
	body += await(t, n, `podnet_topology_rejected{reason="Invalid"} 1`)
	names := map[string]map[string]bool{}
	for _, line := range strings.Split(body, "\n") {
		if m := nameAndLabels.FindStringSubmatch(line); m != nil && !strings.HasPrefix(line, "#") {
			labels := map[string]bool{"job": true, "instance": true} // Prometheus' own
			for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
				labels[l[1]] = true
			}
			names[m[1]] = labels
		}
	}
	return names
}

// The rules and the dashboard ask for nothing that the daemon does not expose, and the dashboard
// for everything it does.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	have := exposed(t)
	used := map[string]bool{}
	check := func(where, expr string) {
		all := map[string]bool{"le": true}
		for _, m := range nameAndLabels.FindAllStringSubmatch(expr, -1) {
			name, labels := m[1], have[m[1]]
			used[name] = true
			if labels == nil {
				t.Errorf("%s: the daemon has no %s", where, name)
			}
			for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
				if !labels[l[1]] {
					t.Errorf("%s: %s has no label %s", where, name, l[1])
				}
			}
			for l := range labels {
				all[l] = true
			}
		}
		for _, m := range aggregation.FindAllStringSubmatch(expr, -1) {
			for _, l := range strings.Split(m[1], ", ") {
				if !all[l] {
					t.Errorf("%s: no metric of %q has the label %s", where, expr, l)
				}
			}
		}
	}
	for _, a := range alerts(t) {
		check("alert "+a.Alert, a.Expr)
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			check("panel "+p.Title, target.Expr)
		}
	}
	for name := range have {
		if strings.HasPrefix(name, "podnet_pass_duration_seconds") {
			name = "podnet_pass_duration_seconds_bucket"
		}
		if strings.HasPrefix(name, "podnet_") && !used[name] {
			t.Errorf("%s is exposed, and neither an alert nor a panel shows it", name)
		}
	}
}
