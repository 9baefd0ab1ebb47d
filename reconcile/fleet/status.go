package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
)

// Expectation is what the reports are held against.
type Expectation struct {
	Digest   string           // "": that of Topology, if there is one
	Topology *schema.Topology // nil: nobody knows who is missing
}

// Status is the state of the fleet, in the order of the topology, or by name.
type Status struct {
	Plans   bool // of plans; else of statuses
	Digest  string
	Count   int     // nodes that there should be; 0: nobody knows
	Groups  []Group // that of most nodes first: the rule, and then the exceptions
	Missing []string
	// Strangers report, and are not in the topology.
	Strangers []string
	MTUs      []document.MTU
	Nodes     []Report // everybody; a missing one has what the topology says of it

	names  []string       // everybody
	place  map[string]int // of each name in names
	common string         // the digest that all should have
}

// Group is nodes that say the same.
type Group struct {
	Digest  string
	Verdict Health
	Reason  string
	Detail  string // of the first of them, with its name if the others' differ
	Impact  reconcile.Impact
	Nodes   []string
}

// New puts reports together. The error is about reports that do not fit: two of one node, statuses
// among plans, none although nobody knows who is missing.
func New(reports []Report, want Expectation) (*Status, error) {
	if len(reports) == 0 && want.Topology == nil {
		return nil, errors.New("no reports (podnetctl status -o json, or podnetctl diff -o json, of each node in a file of its own)")
	}
	if err := consistent(reports); err != nil {
		return nil, err
	}
	s := &Status{Plans: len(reports) > 0 && reports[0].Plan, Digest: want.Digest}
	byName := map[string]Report{}
	for _, r := range reports {
		byName[r.Node] = r
		s.names = append(s.names, r.Node)
	}
	slices.Sort(s.names)
	if want.Topology != nil {
		s.Digest, s.Count = cmp.Or(s.Digest, want.Topology.Digest), len(want.Topology.Nodes)
		s.order(want.Topology, byName)
	}
	s.place = make(map[string]int, len(s.names))
	for i, name := range s.names {
		s.place[name] = i
		s.add(byName[name])
	}
	slices.SortStableFunc(s.Groups, func(a, b Group) int { return len(b.Nodes) - len(a.Nodes) })
	s.common = s.Digest
	if all := s.Digests(); s.common == "" && len(all) > 0 {
		s.common = all[0]
	}
	return s, nil
}

func consistent(reports []Report) error {
	files := map[string]string{}
	for _, r := range reports {
		if first, twice := files[r.Node]; twice {
			return fmt.Errorf("%s and %s are both of %s (remove the older one)", first, r.File, r.Node)
		}
		if files[r.Node] = r.File; r.Plan != reports[0].Plan {
			return fmt.Errorf("%s and %s: a status and a plan do not go together (give the statuses or the plans)",
				reports[0].File, r.File)
		}
	}
	return nil
}

// order puts everybody into the topology's order: those missing among them, strangers last.
func (s *Status) order(t *schema.Topology, byName map[string]Report) {
	known := map[string]bool{}
	names := make([]string, 0, len(t.Nodes))
	for _, n := range t.Nodes {
		known[n.Name] = true
		names = append(names, n.Name)
		r, reported := byName[n.Name]
		if !reported {
			s.Missing = append(s.Missing, n.Name)
			r = Report{Node: n.Name, Health: Missing}
		}
		if r.IP == "" {
			r.IP = n.IP.String()
			for _, p := range n.PodCIDRs {
				r.PodCIDRs = append(r.PodCIDRs, p.String())
			}
		}
		byName[n.Name] = r
	}
	for _, name := range s.names {
		if !known[name] {
			s.Strangers = append(s.Strangers, name)
		}
	}
	s.names = append(names, s.Strangers...)
}

func (s *Status) add(r Report) {
	s.Nodes = append(s.Nodes, r)
	if r.Health == Missing {
		return
	}
	if r.MTU > 0 {
		s.addMTU(r)
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		if g.Digest == r.Digest && g.Verdict == r.Health && g.Reason == r.Reason && g.Impact == r.Impact {
			if g.Detail != r.Detail && !strings.HasPrefix(g.Detail, g.Nodes[0]+": ") {
				g.Detail = g.Nodes[0] + ": " + g.Detail
			}
			g.Nodes = append(g.Nodes, r.Node)
			return
		}
	}
	s.Groups = append(s.Groups, Group{r.Digest, r.Health, r.Reason, r.Detail, r.Impact, []string{r.Node}})
}

func (s *Status) addMTU(r Report) {
	at := slices.IndexFunc(s.MTUs, func(m document.MTU) bool { return m.MTU == r.MTU })
	if at < 0 {
		at, s.MTUs = len(s.MTUs), append(s.MTUs, document.MTU{MTU: r.MTU})
	}
	s.MTUs[at].Nodes = append(s.MTUs[at].Nodes, r.Node)
}

// Digests are those that the nodes report, that of most nodes first.
func (s *Status) Digests() []string {
	var all []string
	for _, g := range s.Groups {
		if g.Digest != "" && !slices.Contains(all, g.Digest) {
			all = append(all, g.Digest)
		}
	}
	return all
}

// Unexpected says whether a digest is another than the one expected or, if none was named, than
// that of most nodes.
func (s *Status) Unexpected(digest string) bool { return digest != "" && digest != s.common }

// Good is the answer: everybody is there, in sync, and on the same, expected file.
func (s *Status) Good() bool {
	if len(s.Missing)+len(s.Strangers) > 0 {
		return false
	}
	return !slices.ContainsFunc(s.Groups, func(g Group) bool { return g.Verdict != InSync || s.Unexpected(g.Digest) })
}

// Names puts a list of nodes into words: runs of neighbours as a range. most bounds the runs; 0:
// all.
func (s *Status) Names(nodes []string, most int) string {
	var runs []string
	for i, shown := 0, 0; i < len(nodes); {
		end := i + 1
		for end < len(nodes) && s.place[nodes[end]] == s.place[nodes[end-1]]+1 {
			end++
		}
		if most > 0 && len(runs) == most {
			return fmt.Sprintf("%s and %d more", strings.Join(runs, ", "), len(nodes)-shown)
		}
		if end-i < 3 {
			end = i + 1
			runs = append(runs, nodes[i])
		} else {
			runs = append(runs, nodes[i]+" .. "+nodes[end-1])
		}
		shown += end - i
		i = end
	}
	return strings.Join(runs, ", ")
}
