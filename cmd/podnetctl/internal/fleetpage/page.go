// Package fleetpage writes the state of a fleet as one HTML page with a picture. The page needs
// nothing but itself: no script, no font, no file, and its policy forbids a browser to fetch any.
package fleetpage

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/fleet"
	"github.com/podnet/podnet/schema"
)

//go:embed page.gohtml
var source string

// page is what the template shows.
type page struct {
	*fleet.Status
	Title    string
	Good     bool
	Headline string
	Facts    []fact
	Groups   []group
	MTUs     []fact
	Pictures []picture // the same; the window's width chooses one
	Use      bool      // some node says how many of its addresses are in use
	Rows     []row
	AsOf     string // of the newest status; "": plans have no time
}

type fact struct{ Label, Text string }

// group is a line of the table of exceptions and the rule.
type group struct {
	Count         int
	State, Symbol string
	Said, Detail  string
	Digest        string
	Unexpected    bool
	Impact        string
	Names         string
}

// row is a node in the table of all.
type row struct {
	Name, IP, PodCIDRs, Use, MTU, Digest, State, Symbol, Said string
}

// Write writes the page. t is the topology they were held against; nil: there was none.
func Write(w io.Writer, s *fleet.Status, t *schema.Topology) error {
	parsed, err := template.New("fleet").Parse(source)
	if err != nil {
		return err
	}
	p := page{Status: s, Title: "podnet fleet", Good: s.Good(), Headline: headline(s), Facts: facts(s), Pictures: draw(s)}
	p.Use = p.Pictures[0].Use
	if t != nil {
		p.Title = t.Name + " · podnet fleet"
	}
	for _, g := range s.Groups {
		p.Groups = append(p.Groups, describe(s, g))
	}
	p.Groups = append(p.Groups, others(s)...)
	for _, m := range s.MTUs {
		p.MTUs = append(p.MTUs, fact{fmt.Sprint(m.MTU), s.Names(m.Nodes, 0)})
	}
	for _, r := range s.Nodes {
		p.Rows = append(p.Rows, nodeRow(s, r))
		if at := r.WrittenAt.UTC().Format("2006-01-02 15:04:05Z"); !r.WrittenAt.IsZero() && at > p.AsOf {
			p.AsOf = at
		}
	}
	return parsed.Execute(w, p)
}

// states are the page's classes and the signs that tell them apart without colours.
var states = [...]struct{ class, symbol string }{
	fleet.InSync: {"ok", "✓"}, fleet.Pending: {"pending", "~"}, fleet.NotInSync: {"bad",
		"!"}, fleet.Missing: {"missing", "?"},
}

func stateOf(s *fleet.Status, r fleet.Report) (class, symbol string) {
	state := states[r.Health]
	if r.Health == fleet.InSync && s.Unexpected(r.Digest) {
		state = states[fleet.Pending]
	}
	return state.class, state.symbol
}

func headline(s *fleet.Status) string {
	counts := map[string]int{}
	for _, r := range s.Nodes {
		class, _ := stateOf(s, r)
		counts[class]++
	}
	said := fmt.Sprintf("%d of %d nodes in sync", counts["ok"], len(s.Nodes))
	pending, bad := "on another file", "not in sync"
	if s.Plans {
		pending, bad = "would change", "refused or failed"
	}
	for _, c := range []struct{ class, word string }{{"pending", pending}, {"bad", bad}, {"missing", "missing"}} {
		if counts[c.class] > 0 {
			said += fmt.Sprintf(", %d %s", counts[c.class], c.word)
		}
	}
	return said
}

func facts(s *fleet.Status) []fact {
	var all []fact
	digests := s.Digests()
	for i := range digests {
		digests[i] = screen.ShortDigest(digests[i])
	}
	label := "In force"
	if s.Plans {
		label = "Proposed"
	}
	all = append(all, fact{label, strings.Join(digests, ", ")})
	if s.Digest != "" {
		all = append(all, fact{"Expected", screen.ShortDigest(s.Digest)})
	}
	used, total := 0, int64(0)
	for _, r := range s.Nodes {
		used += r.Addresses["ipv4"].Used
		total += r.Addresses["ipv4"].Total
	}
	if total > 0 {
		all = append(all, fact{"IPv4 addresses", fmt.Sprintf("%d of %d used", used, total)})
	}
	if len(s.MTUs) == 1 {
		all = append(all, fact{"MTU", fmt.Sprint(s.MTUs[0].MTU)})
	}
	return all
}

func describe(s *fleet.Status, g fleet.Group) group {
	state, symbol := stateOf(s, fleet.Report{Health: g.Verdict, Digest: g.Digest})
	out := group{Count: len(g.Nodes), State: state, Symbol: symbol, Said: g.Reason, Detail: g.Detail,
		Digest:     screen.ShortDigest(g.Digest),
		Unexpected: s.Unexpected(g.Digest), Names: s.Names(g.Nodes, 0)}
	if s.Plans {
		out.Impact = string(g.Impact)
	}
	if out.Said == "" {
		out.Said = g.Verdict.String()
		if out.Unexpected {
			out.Said = fleet.OtherFile
		}
	}
	return out
}

// others are those who are missing, and who should be.
func others(s *fleet.Status) []group {
	all := []group{
		{Count: len(s.Missing), State: "missing", Symbol: "?", Said: "missing: no report", Names: s.Names(s.Missing, 0)},
		{Count: len(s.Strangers), State: "bad", Symbol: "!", Said: "not in the topology", Names: s.Names(s.Strangers, 0)},
	}
	return slices.DeleteFunc(all, func(g group) bool { return g.Count == 0 })
}

func nodeRow(s *fleet.Status, r fleet.Report) row {
	out := row{Name: r.Node, IP: r.IP, PodCIDRs: strings.Join(r.PodCIDRs, " "), Use: use(r),
		Digest: screen.ShortDigest(r.Digest), Said: r.Reason}
	out.State, out.Symbol = stateOf(s, r)
	if r.MTU > 0 {
		out.MTU = fmt.Sprint(r.MTU)
	}
	switch {
	case out.Said == "" && s.Unexpected(r.Digest):
		out.Said = fleet.OtherFile
	case out.Said == "":
		out.Said = r.Health.String()
	}
	return out
}

// endless is a number of addresses of which the total says nothing.
const endless = 1 << 32

// use says how many addresses are in use, by family.
func use(r fleet.Report) string {
	var parts []string
	for _, family := range []string{"ipv4", "ipv6"} {
		switch a, known := r.Addresses[family]; {
		case !known:
		case a.Total < endless:
			parts = append(parts, fmt.Sprintf("%d of %d", a.Used, a.Total))
		default:
			parts = append(parts, fmt.Sprintf("%d IPv6", a.Used))
		}
	}
	return strings.Join(parts, ", ")
}
