package agent

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/pods"
)

// Removal is a teardown: what there is to remove and what speaks against it, and after Remove what
// came of it.
type Removal struct {
	Plan        *reconcile.Plan
	Directories []string // of podnet's own, as far as there are any
	Stays       []string // host-wide sysctls that podnet may have set

	Pods       int      // that lose their network; -1 if nobody can count them
	PodNames   []string // the runtime's name, else the container, else the veth
	DaemonRuns bool     // it would put everything back
	// Elsewhere says that this network namespace has neither the node's address nor a device of
	// podnet's, as a pod's has neither: then the directories are those of a node that is alive in
	// another namespace.
	Elsewhere bool
}

// PlanRemoval looks for everything that podnet owns on this node, and changes nothing. It comes
// before the lock, which makes a directory.
func (s *Session) PlanRemoval() (*Removal, error) {
	view := s.bare()
	plan, err := s.Look(view)
	if err != nil {
		return nil, err
	}
	return &Removal{
		Plan: plan, Directories: s.directories(), Stays: s.stays(), Pods: s.Pods(view.Topology),
		PodNames: s.podNames(view.Topology), DaemonRuns: DaemonRuns(s.Paths), Elsewhere: s.elsewhere(plan),
	}, nil
}

// Remove takes everything away: the devices of pods only if it is told to, and podnet's directories
// only if nothing else is left. The plan becomes nil if nothing could be looked at. The caller holds
// the node's lock.
func (s *Session) Remove(r *Removal, podsToo bool) error {
	var failed error
	if podsToo {
		_, failed = s.Kernel().DeleteAll()
	}
	var err error
	r.Plan, err = s.Converge(s.bare())
	if err = errors.Join(failed, err); err == nil {
		err = errors.Join(os.RemoveAll(s.Paths.StateDir), os.RemoveAll(s.Paths.RunDir))
	}
	return err
}

// bare is this node when nobody asks anything of it.
func (s *Session) bare() reconcile.View {
	t := s.Decision.Topology
	v := bareView(cmp.Or(s.ID.Node, s.ID.Hostname), t)
	if t != nil {
		if own, err := s.ID.Select(t); err == nil {
			v.Node = own
		}
	}
	return v
}

// elsewhere is Removal.Elsewhere. Without a topology nobody knows the node's address.
func (s *Session) elsewhere(plan *reconcile.Plan) bool {
	if ip := plan.Node.Sender(); !ip.IsValid() || slices.Contains(s.ID.Addrs, ip) {
		return false
	}
	return !slices.ContainsFunc(plan.Steps, func(step *reconcile.Step) bool { return step.Kind == state.KindLink })
}

func (s *Session) directories() []string {
	return slices.DeleteFunc([]string{s.Paths.StateDir, s.Paths.RunDir}, func(dir string) bool {
		_, err := os.Lstat(dir)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// podNames are the pods with a host veth as a person knows them.
func (s *Session) podNames(t *schema.Topology) []string {
	network := s.until(t).Network
	all, err := pods.List(s.Kernel(), cmp.Or(network.CNI.Name, schema.DefaultNetwork().CNI.Name), network.Bridge.Name)
	if err != nil {
		return nil // those that are there are counted all the same
	}
	var names []string
	for _, p := range all {
		if p.Veth.Device != "" {
			names = append(names, cmp.Or(p.Name, p.Owner.ContainerID, p.Veth.Device))
		}
	}
	return names
}

func (s *Session) stays() []string {
	names := []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"}
	if t := s.Decision.Topology; t != nil {
		if v, err := s.View(s.ID, t, nil); err == nil {
			names = nil
			for _, sysctl := range v.Want.Sysctls.Rows() {
				names = append(names, sysctl.Path)
			}
		}
	}
	return names
}
