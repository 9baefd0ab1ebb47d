package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
)

// ReadStatus reads a status file; an error that is fs.ErrNotExist: nothing has written one since
// boot.
func ReadStatus(path string) (*document.NodeStatus, error) {
	const most = 16 << 20 // bytes
	b, err := files.ReadFile(path, most)
	if err != nil {
		return nil, err
	}
	s, err := document.DecodeStatus(b)
	if err != nil {
		return nil, fmt.Errorf("%s is no status: %w (the next pass replaces it: podnetctl apply)", path, err)
	}
	return s, nil
}

// inherit is what a status takes over from the one that another process has written since boot: the
// times of its conditions, and what was healed. It returns nil if there is none that can be read.
func inherit(path string) *document.NodeStatus {
	written, err := ReadStatus(path)
	if err != nil || written.BootID != kernel.BootID() {
		return nil
	}
	s := document.NewNodeStatus()
	s.Conditions, s.LastHealed = written.Conditions, append(s.LastHealed, written.LastHealed...)
	return s
}

// WriteStatus replaces a status file.
func WriteStatus(path string, s *document.NodeStatus) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return files.ReplaceFile(path, append(b, '\n'), 0o644)
}

// Pass is everything that one pass has seen and done.
type Pass struct {
	Decision rollout.Decision
	Plan     *reconcile.Plan // nil: it did not come that far
	Err      error
	At       time.Time
	Took     time.Duration
	Ruler    kernel.Actor // who had changed nftables last before the pass

	Squatter  string // who holds the daemon's socket and cannot be a daemon; "": nobody
	Contended int    // objects that somebody else keeps changing
}

// Status is a pass in the form of a status, apart from what only the daemon knows. before is the
// status until now, for the times of the transitions.
func (p *Pass) Status(before *document.NodeStatus) *document.NodeStatus {
	s := document.NewNodeStatus()
	s.WrittenAt = p.At.Add(p.Took)
	s.LastPass = document.PassStatus{At: p.At, DurationSeconds: p.Took.Seconds()}
	s.Topology.OnDisk = p.Decision.OnDisk
	if v := p.Decision; v.Topology != nil {
		s.Topology.Path, s.Topology.Digest, s.Topology.Origin, s.Topology.LoadedAt = v.Path, v.Topology.Digest, v.Origin, v.KeptAt
	}
	if p.Plan != nil {
		addPlan(s, p.Plan)
	}
	s.InSync = p.InSync()
	s.Conditions = p.conditions(before)
	return s
}

// InSync says that the kernel equals the topology in force after the pass.
func (p *Pass) InSync() bool {
	if p.Plan == nil || p.Err != nil || len(p.Plan.Errors()) > 0 || len(p.Plan.Counting()) > 0 {
		return false
	}
	for _, step := range p.Plan.Steps {
		if step.Result != reconcile.Done {
			return false
		}
	}
	return true
}

// addPlan fills in what the plan says of the node, of its objects and of what was done.
func addPlan(s *document.NodeStatus, p *reconcile.Plan) {
	s.Node, s.IP, s.MTU = p.Node.Name, p.Node.IP.String(), state.MTU(p.Topology, p.Node, p.Facts)
	for _, c := range p.Node.PodCIDRs {
		s.PodCIDRs = append(s.PodCIDRs, c.String())
	}
	s.Peers = p.Want.FDB.Len()
	for k := range state.Kind(state.KindCount) {
		if n := p.Want.Count(k); n > 0 {
			s.Resources[k.String()] += n
		}
	}
	for _, step := range p.Steps {
		switch {
		case step.Result == reconcile.Failed:
			s.LastPass.Failed++
		case step.Result != reconcile.Done:
		case step.Op == state.Create:
			s.LastPass.Created++
		case step.Op == state.Update:
			s.LastPass.Updated++
		case step.Op == state.Delete:
			s.LastPass.Deleted++
		}
	}
}

// CountAddresses fills into s, the status of the pass p, how much of the node's podCIDRs is in use.
// It says so if pods have addresses of other ranges. before is the status until now, for the time
// of that transition.
func (e *Engine) CountAddresses(s *document.NodeStatus, p *Pass, before *document.NodeStatus) error {
	if p.Plan == nil {
		return nil
	}
	network, cidrs := p.Plan.Topology.Network.CNI.Name, p.Plan.Node.PodCIDRs
	count, err := pods.CountLeases(e.Paths, network, cidrs)
	for _, cidr := range cidrs {
		family := "ipv6"
		if cidr.Addr().Is4() {
			family = "ipv4"
		}
		s.Addresses[family] = document.PoolUse{Used: count.Used[cidr], Total: pods.PoolSize(cidr)}
	}
	stale, failed := pods.StalePods(e.node, network, count.Outside)
	if stale > 0 && s.Condition(document.Degraded).Status == "False" {
		s.Put(since(condition(document.Degraded, true, document.ReasonStalePods, stalePods(stale, cidrs)), p.At, before))
	}
	return errors.Join(err, failed)
}

func stalePods(n int, cidrs []netip.Prefix) string {
	if len(cidrs) == 0 {
		return fmt.Sprintf("the node has no podCIDR, and pods that had an address when it had one are still there, %d: end them (podnetctl pods)", n)
	}
	var ranges []string
	for _, p := range cidrs {
		ranges = append(ranges, p.String())
	}
	if outside := strings.Join(ranges, ", "); n > 1 {
		return fmt.Sprintf("%d pods have an address outside of %s: restart them (podnetctl pods)", n, outside)
	} else {
		return fmt.Sprintf("1 pod has an address outside of %s: restart it (podnetctl pods)", outside)
	}
}
