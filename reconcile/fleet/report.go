// Package fleet puts together what many nodes say of themselves, their statuses or their plans. It
// is pure: no clock, no files.
package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
)

// Health is how one node is, as far as its report goes.
type Health int

// How a node can be, the gravest last. Pending: a plan that would change the node, which is a plan's
// business.
const (
	InSync Health = iota
	Pending
	NotInSync // or refused, or not to be found out
	Missing   // no report
)

func (v Health) String() string {
	return [...]string{"in sync", "changes", "not in sync", "missing"}[v]
}

// Report is one document that a node's podnetctl or podnetd has written.
type Report struct {
	File, Node string
	Plan       bool   // of what would be; else a status, of what is
	Digest     string // of the topology in force, or of the proposed one; "": there is none
	Health     Health
	Reason     string // what the node lacks or would do, the same for nodes in the same state
	Detail     string // what else there is to say, such as an error; differs from node to node
	Impact     reconcile.Impact

	IP        string
	PodCIDRs  []string
	MTU       int // 0: not known
	Addresses map[string]document.PoolUse
	WrittenAt time.Time
}

// Read reads a report: a NodeStatus, a Plan, the Validation that stands for a plan where the file
// was invalid or refused, or what render says of a node that has no podnet yet. The error says what
// the file is instead.
func Read(file string, data []byte) (Report, error) {
	var head struct{ APIVersion, Kind, Node string }
	if err := json.Unmarshal(data, &head); err != nil {
		return Report{}, fmt.Errorf("%s: not what podnetctl -o json prints: %w", file, err)
	}
	if head.APIVersion != schema.APIVersion {
		return Report{}, fmt.Errorf("%s: apiVersion is %q, not %s", file, head.APIVersion, schema.APIVersion)
	}
	kinds := map[string]func(*Report, []byte) error{
		"NodeStatus": readStatus, "Plan": readPlan, "Validation": readValidation, "DesiredState": readDesired,
	}
	fill := kinds[head.Kind]
	if fill == nil {
		return Report{},
			fmt.Errorf("%s: kind is %q, neither NodeStatus (podnetctl status -o json) nor Plan (podnetctl diff -o json)", file,
				head.Kind)
	}
	r := Report{File: file, Node: head.Node, Impact: reconcile.ImpactNone}
	if r.Node == "" { // a Validation names none: the file is called like the node
		r.Node = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	}
	if err := fill(&r, data); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

func readStatus(r *Report, data []byte) error {
	s, err := document.DecodeStatus(data)
	if err != nil {
		return err
	}
	r.Digest, r.IP, r.PodCIDRs, r.MTU = s.Topology.Digest, s.IP, s.PodCIDRs, s.MTU
	r.Addresses, r.WrittenAt = s.Addresses, s.WrittenAt
	if r.Reason, r.Detail = trouble(s); r.Reason != "" {
		r.Health = NotInSync
	}
	return nil
}

// trouble is why a status is not the best there is, the gravest first.
func trouble(s *document.NodeStatus) (reason, detail string) {
	if s.Topology.Digest == "" {
		return "no topology in force", s.Topology.OnDisk.Message
	}
	if disk := s.Topology.OnDisk; !disk.Accepted {
		return fmt.Sprintf("%s %s", document.StaleTopology, disk.Reason), disk.Message
	}
	for _, c := range s.Conditions {
		bad := c.Status == "True"
		if c.Type == document.Ready {
			bad = c.Status == "False"
			c.Type = "not Ready"
		}
		if bad && (c.Type != document.Foreign || !s.InSync) { // a conflict that keeps nothing from being right is none here
			return strings.TrimSpace(c.Type + " " + c.Reason), c.Message
		}
	}
	switch {
	case !s.InSync:
		return "the kernel is not as the topology asks", ""
	case s.Daemon == nil:
		return "podnetd does not run", ""
	}
	return "", ""
}

// Refused is the reason of a plan that the removal guard does not let pass.
const Refused = "refused by the guard"

func readPlan(r *Report, data []byte) error {
	var p document.Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	r.Plan, r.Digest, r.Health = true, p.Proposed.Digest, Pending
	for _, s := range p.Steps {
		r.Impact = worse(r.Impact, s.Impact)
	}
	switch {
	case p.Guard != nil && !p.Guard.Passes:
		r.Health, r.Reason, r.Detail = NotInSync, Refused, p.Guard.Message
	case len(p.Errors) > 0:
		r.Health, r.Reason, r.Detail = NotInSync, "error", p.Errors[0]
	case p.InSync:
		r.Health, r.Reason = InSync, "nothing to do"
	default:
		r.Reason = work(&p)
	}
	return nil
}

// work says in a few words what a plan does.
func work(p *document.Plan) string {
	peers, n := p.Summary.Peers, p.Summary.Objects
	objects := plural(n.Create+n.Update+n.Delete, "object")
	if p.InForce.Digest == "" {
		return "first apply, " + objects
	}
	var parts []string
	for _, part := range []struct {
		mark string
		n    int
	}{{"+", peers.Added}, {"~", peers.Changed}, {"-", peers.Removed}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%s%d", part.mark, part.n))
		}
	}
	noun := " peers"
	switch {
	case len(parts) == 0 && p.InForce.Digest == p.Proposed.Digest:
		return "drift, " + objects
	case len(parts) == 0:
		return objects
	case peers.Added+peers.Changed+peers.Removed == 1:
		noun = " peer"
	}
	return fmt.Sprintf("%s%s (%s)", strings.Join(parts, " "), noun, objects)
}

func worse(a, b reconcile.Impact) reconcile.Impact {
	for _, i := range []reconcile.Impact{reconcile.ImpactPodLoss, reconcile.ImpactPartition, reconcile.ImpactBrief} {
		if a == i || b == i {
			return i
		}
	}
	return reconcile.ImpactNone
}

func readValidation(r *Report, data []byte) error {
	var v struct {
		Valid  bool
		Errors []schema.Fault
		Guard  *reconcile.Guard
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	r.Plan, r.Health = true, NotInSync
	switch {
	case len(v.Errors) > 0:
		r.Reason, r.Detail = "invalid file", v.Errors[0].String()
	case v.Guard != nil && !v.Guard.Passes:
		r.Reason, r.Detail = Refused, v.Guard.Message
	default:
		return errors.New("a Validation of a valid file says nothing of a node (podnetctl diff -o json)")
	}
	return nil
}

func readDesired(r *Report, data []byte) error {
	var d struct {
		Topology document.FileRef
		MTU      int
		Objects  []struct{}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	r.Plan, r.Health, r.Digest = true, Pending, d.Topology.Digest
	r.Reason = fmt.Sprintf("new node, %s", plural(len(d.Objects), "object"))
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
