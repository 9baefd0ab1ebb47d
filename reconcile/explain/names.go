package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
)

// FindPod finds a pod by its address, by NAMESPACE/NAME or NAME as the runtime calls it, or by the
// beginning of its container id. The error says which it could be, or where to look.
func FindPod(all []pods.Pod, who string) (pods.Pod, error) {
	found := those(all, who, called)
	if len(found) == 0 && who != "" { // what is given in full counts before what begins so
		found = those(all, who, func(p pods.Pod, who string) bool { return strings.HasPrefix(p.Owner.ContainerID, who) })
	}
	switch len(found) {
	case 0:
		return pods.Pod{}, fmt.Errorf("no pod of this node is %s (podnetctl pods lists them)", who)
	case 1:
		return found[0], nil
	}
	var which []string
	for _, p := range found {
		which = append(which, fmt.Sprintf("%s (%s, container %s)", p.Addrs[0], Title(p), p.Owner.ContainerID))
	}
	return pods.Pod{},
		fmt.Errorf("%d pods of this node are %s: say which by its address: %s", len(found), who, strings.Join(which, ", "))
}

func called(p pods.Pod, who string) bool {
	if a, err := netip.ParseAddr(who); err == nil {
		return slices.Contains(p.Addrs, a)
	}
	if who == "" {
		return false
	}
	_, bare, _ := strings.Cut(p.Name, "/")
	return p.Name == who || bare == who || p.Owner.ContainerID == who
}

// those are the pods with an address that go by a name.
func those(all []pods.Pod, who string, named func(pods.Pod, string) bool) (found []pods.Pod) {
	for _, p := range all {
		if len(p.Addrs) > 0 && named(p, who) {
			found = append(found, p)
		}
	}
	return found
}

// Title is the pod for a person.
func Title(p pods.Pod) string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Owner.ContainerID != "":
		return fmt.Sprintf("%.13s", p.Owner.ContainerID)
	}
	return p.Veth.Device
}

// Targets are what a destination on the command line stands for: an address, or each of the
// gateways of a node's pods.
func (s *Site) Targets(text string) ([]Target, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
			return nil, fmt.Errorf("%s: pods of different nodes do not reach each other by such an address: give one of a podCIDR", text)
		}
		return []Target{s.place(a.Unmap())}, nil
	}
	if both, err := netip.ParseAddrPort(text); err == nil {
		targets, err := s.Targets(both.Addr().String())
		for i := range targets {
			targets[i].Port = both.Port()
		}
		return targets, err
	}
	n := s.Topology.Node(text)
	if n == nil {
		return nil, fmt.Errorf("%s is neither an address nor a node of %s", text, s.Topology.File)
	}
	if len(n.PodCIDRs) == 0 {
		return nil, fmt.Errorf("%s has no podCIDR yet, so it has no pods (podnetctl allocate %s)", text, text)
	}
	gateways := s.Gateways(n)
	if len(gateways) == 0 {
		return nil, fmt.Errorf("%s has no podCIDR of a family that %s has, so their pods do not reach each other (add one to either)", text, s.Node.Name)
	}
	return gateways, nil
}

// Gateways are the first host addresses of a node's podCIDRs of the families that this node speaks.
func (s *Site) Gateways(n *schema.Node) []Target {
	var out []Target
	for _, p := range n.PodCIDRs {
		if !s.speaks(p.Addr().Is4()) {
			continue
		}
		t := Target{Addr: p.Addr().Next(), Place: Peer, Node: n, Gateway: true}
		if n.Name == s.Node.Name {
			t.Place = Self
		}
		out = append(out, t)
	}
	return out
}

// place finds out where an address is.
func (s *Site) place(a netip.Addr) Target {
	t := Target{Addr: a, Place: Outside}
	for i := range s.Topology.Nodes {
		n := &s.Topology.Nodes[i]
		if p := podCIDR(n, a); p.IsValid() {
			t.Node, t.Place, t.Gateway = n, Peer, a == p.Addr().Next()
		}
	}
	switch {
	case s.own(a):
		t.Place, t.Node = Self, s.Node
	case t.Node == nil && s.ownerOf(a) != nil:
		t.Place, t.Node = PeerHost, s.ownerOf(a)
	case t.Node != nil && t.Node.Name == s.Node.Name:
		t.Place = Nobody // until a pod with the address is found
	case t.Node == nil &&
		slices.ContainsFunc(s.Topology.Network.ClusterCIDRs, func(p netip.Prefix) bool { return p.Contains(a) }):
		t.Place = Nobody
	}
	return t
}

// ownerOf is the node that has an underlay address; nil: none has.
func (s *Site) ownerOf(a netip.Addr) *schema.Node {
	for i := range s.Topology.Nodes {
		if n := &s.Topology.Nodes[i]; n.IP == a {
			return n
		}
	}
	return nil
}

func (s *Site) own(a netip.Addr) bool {
	return slices.ContainsFunc(s.Addrs, func(h kernel.HostAddr) bool { return h.Addr() == a })
}

// Sources are the addresses that a packet can be sent from: a pod's, or the node's first host
// addresses.
func (s *Site) Sources(from string, all []pods.Pod) ([]Source, *pods.Pod, error) {
	var out []Source
	if a, err := netip.ParseAddr(from); err == nil && s.own(a) {
		return []Source{{Addr: a}}, nil, nil
	}
	if from == "" {
		for _, p := range s.Node.PodCIDRs {
			out = append(out, Source{Addr: p.Addr().Next()})
		}
		return out, nil, nil
	}
	p, err := FindPod(all, from)
	if a, bad := netip.ParseAddr(from); err != nil && bad == nil && slices.Contains([]Place{Outside, PeerHost}, s.place(a).Place) {
		return []Source{{Addr: a.Unmap(), Outside: true}}, nil, nil
	}
	if err != nil {
		return nil, nil, s.elsewhere(from, err)
	}
	a, err := netip.ParseAddr(from)
	for _, own := range p.Addrs {
		if err != nil || own == a {
			out = append(out, Source{Addr: own, Name: Title(p)})
		}
	}
	return out, &p, nil
}

// elsewhere says where a sender is that is none of this node's.
func (s *Site) elsewhere(from string, err error) error {
	a, bad := netip.ParseAddr(from)
	if bad != nil {
		return err
	}
	if t := s.place(a); t.Place == Peer {
		return fmt.Errorf("%s is a pod of %s: ask there, with the same command", from, t.Node.Name)
	}
	return err
}

// Pair is the first source and target of one family.
func Pair(sources []Source, targets []Target) (Source, Target, error) {
	for _, t := range targets {
		for _, s := range sources {
			if s.Addr.Is4() == t.Addr.Is4() {
				return s, t, nil
			}
		}
	}
	return Source{}, Target{}, fmt.Errorf("%s has no address of the family of %s", sources[0].Addr, targets[0].Addr)
}
