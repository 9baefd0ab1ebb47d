package reconcile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// FuzzDiff takes two topologies and a kernel that holds what one of them asks for, damaged:
// applying the plan gives what the other asks for, the plan after that is empty, and the order in
// which either set was read does not matter.
func FuzzDiff(f *testing.F) {
	for seed := range uint64(24) {
		f.Add(seed, seed*7, uint8(seed%5), uint8(seed*3))
	}
	f.Fuzz(func(t *testing.T, from, to uint64, damages, shuffle uint8) {
		dice := rand.New(rand.NewPCG(uint64(damages), uint64(shuffle)))
		old, next := randomSet(t, from), randomSet(t, to)
		if steps := Diff(next, &state.Live{Set: *next}); len(steps) > 0 {
			t.Fatalf("the plan of equal sets has %d steps", len(steps))
		}
		before := hold(old)
		for range damages % 8 {
			before.damage(dice)
		}
		var outcomes, plans [2][]string
		for i := range 2 {
			kernel := &memory{slices.Clone(before.held)}
			want := next
			if i == 1 {
				dice.Shuffle(len(kernel.held), func(a, b int) { kernel.held[a], kernel.held[b] = kernel.held[b], kernel.held[a] })
				want = shuffled(next, dice)
			}
			live := kernel.live(want)
			held := hold(&live.Set).held
			p := &Plan{Steps: Diff(want, live)}
			if !slices.Equal(held, hold(&live.Set).held) {
				t.Fatal("Diff changes what it compares")
			}
			plans[i] = lines(p)
			if err := p.Apply(kernel, nil); err != nil {
				t.Fatalf("%v\nplan: %v", err, plans[i])
			}
			outcomes[i] = kernel.lines(want)
			if diff := cmp.Diff(hold(want).lines(want), outcomes[i]); diff != "" {
				t.Fatalf("after the plan (-want +got):\n%s", diff)
			}
			if again := Diff(want, kernel.live(want)); len(again) > 0 {
				t.Fatalf("the plan after the plan has %d steps", len(again))
			}
		}
		if doubles := before.doubles(); !doubles { // which of two is the one to change may depend on the order
			if diff := cmp.Diff(plans[0], plans[1]); diff != "" {
				t.Fatalf("the plan depends on the order (-one +other):\n%s", diff)
			}
		}
	})
}

// randomSet is what a topology asks of a node that comes from a seed: some of few nodes, addresses
// and options, so that two seeds have much in common.
func randomSet(t *testing.T, seed uint64) *state.Set {
	t.Helper()
	dice := rand.New(rand.NewPCG(seed, 0))
	pick := func(of ...string) string { return of[dice.IntN(len(of))] }
	text := fmt.Sprintf(`apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: %s}
network:
  clusterCIDRs: [10.0.0.0/8, "fd00::/16"]
  mtu: %s
  vxlan: {name: %s, vni: %s, port: %s}
  bridge: {name: %s, hairpinMode: %s, antiSpoofing: %s}
  masquerade: {enabled: %s}
nodes:
- {name: self, ip: 192.0.2.1, podCIDRs: [%s]}
`, pick("lab", "lab", "other"), pick("0", "1400"), pick("podnet.1", "pod0"), pick("1", "1", "7"), pick("8472", "4789"),
		pick("cni0", "br0"), pick("true", "false"), pick("true", "false"), pick("true", "false"),
		pick("10.0.0.0/24", `10.0.0.0/24, "fd00::/64"`, `"fd00::/64"`, "10.0.0.0/23", "10.200.0.0/24"))
	for i := range 6 {
		if dice.IntN(3) > 0 {
			text += fmt.Sprintf("- {name: n%d, ip: 192.0.2.%d, podCIDRs: [%s]%s}\n", i, 10+i*3+dice.IntN(2),
				pick(fmt.Sprintf("10.%d.0.0/24", i+1), fmt.Sprintf(`10.%d.0.0/24, "fd00:%d::/64"`, i+1, i+1), fmt.Sprintf(`"fd00:%d::/64"`, i+1), fmt.Sprintf("10.%d.0.0/25", i+1), ""),
				pick("", "", fmt.Sprintf(", vtepMAC: 02:00:00:00:00:%02x", i)))
		}
	}
	topology, err := schema.Parse("topology.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	ipv6 := facts
	ipv6.IPv6 = true
	set, err := state.Desired(topology, &topology.Nodes[0], ipv6, state.DefaultPaths(""))
	if err != nil {
		t.Fatal(err)
	}
	pods := []state.Pod{
		{Device: "veth0", Sender: state.Sender{MAC: state.MAC{2, 0, 0, 0, 0, 1}, IPv4: netip.MustParseAddr("10.0.0.2")}},
		{Device: "veth1"},
	}
	return set.WithPorts(topology.Network.Bridge.HairpinMode, pods[:dice.IntN(3)])
}

// memory is a kernel as far as a plan can tell: objects die with their parents, and what collides
// is refused.
type memory struct{ held []state.Resource }

// hold is a kernel that holds a set.
func hold(s *state.Set) *memory {
	m := &memory{}
	each(s, func(r state.Resource) { m.held = append(m.held, r) })
	return m
}

// each calls f for every object of a set.
func each(s *state.Set, f func(state.Resource)) {
	for k := range state.Kind(state.KindCount) {
		s.Diff(&state.Set{}, k, func(c state.Change) { f(c.Want) })
	}
}

// live is what a look finds. Sysctls are looked at only where they are wanted.
func (m *memory) live(want *state.Set) *state.Live {
	live := &state.Live{}
	for _, r := range m.held {
		if _, _, wanted := want.Find(r.Key()); wanted || !isSysctl(r) {
			add(&live.Set, r)
		}
	}
	return live
}

func isSysctl(r state.Resource) bool { _, is := r.(state.Sysctl); return is }

// add puts an object into the table of its kind.
func add(s *state.Set, r state.Resource) {
	switch r := r.(type) {
	case state.Link:
		s.Links.Add(r, state.OwnNode)
	case state.Sysctl:
		if r.Key().Kind == state.KindLinkSysctl {
			s.LinkSysctls.Add(r, state.OwnNode)
		} else {
			s.Sysctls.Add(r, state.OwnNode)
		}
	case state.Addr:
		s.Addrs.Add(r, state.OwnNode)
	case state.LinkUp:
		s.LinksUp.Add(r, state.OwnNode)
	case state.TunnelSource:
		s.TunnelSources.Add(r, state.OwnNode)
	case state.Neigh:
		s.Neighs.Add(r, state.OwnNode)
	case state.FDB:
		s.FDB.Add(r, state.OwnNode)
	case state.Route:
		s.Routes.Add(r, state.OwnNode)
	case state.Chain:
		s.Chains.Add(r, state.OwnNode)
	case state.Port:
		s.Ports.Add(r, state.OwnNode)
	case state.Conflist:
		s.Conflists.Add(r, state.OwnNode)
	default:
		panic(fmt.Sprintf("an object of a new kind: %T", r))
	}
}

func shuffled(s *state.Set, dice *rand.Rand) *state.Set {
	m := hold(s)
	dice.Shuffle(len(m.held), func(a, b int) { m.held[a], m.held[b] = m.held[b], m.held[a] })
	out := &state.Set{}
	for _, r := range m.held {
		add(out, r)
	}
	return out
}

// Apply is what a kernel does.
func (m *memory) Apply(_ state.Kind, changes []*state.Change) {
	for _, c := range changes {
		switch c.Op {
		case state.Create:
			c.Err = m.create(c.Want)
		case state.Update:
			if i := slices.Index(m.held, c.Have); i < 0 {
				c.Err = fmt.Errorf("%s is not there to be changed", c.Have.Name())
			} else {
				m.held[i] = c.Want
				m.forgetNeighbours(c)
			}
		case state.Delete:
			m.remove(c.Have)
		}
	}
}

// forgetNeighbours of a device that has got another MAC.
func (m *memory) forgetNeighbours(c *state.Change) {
	if l, is := c.Want.(state.Link); is && l.MAC != c.Have.(state.Link).MAC {
		m.held = slices.DeleteFunc(m.held, func(r state.Resource) bool {
			n, is := r.(state.Neigh)
			return is && n.Device == l.Device
		})
	}
}

func (m *memory) create(r state.Resource) error {
	parent := r.Parent()
	for _, h := range m.held {
		if h.Key() == r.Key() {
			return fmt.Errorf("%s is there already", r.Name())
		}
		if l, is := r.(state.Link); is {
			if other, is := h.(state.Link); is && l.Collides(other) {
				return fmt.Errorf("%s collides with %s", l.Device, other.Device)
			}
		}
	}
	if !parent.IsZero() && !slices.ContainsFunc(m.held, func(h state.Resource) bool { return h.Key() == parent }) {
		return errors.New(r.Name() + " has nothing to be on")
	}
	m.held = append(m.held, r)
	return nil
}

// remove takes an object away, with all that is on it unless another of its key stays.
func (m *memory) remove(r state.Resource) {
	i := slices.Index(m.held, r)
	if i < 0 {
		return
	}
	m.held = slices.Delete(m.held, i, i+1)
	if slices.ContainsFunc(m.held, func(h state.Resource) bool { return h.Key() == r.Key() }) {
		return
	}
	for _, child := range slices.Clone(m.held) {
		if child.Parent() == r.Key() || sharesSubnet(r, child) {
			m.remove(child)
		}
	}
}

// sharesSubnet: the first IPv4 address of a subnet takes the others along.
func sharesSubnet(gone, other state.Resource) bool {
	a, is := gone.(state.Addr)
	b, also := other.(state.Addr)
	return is && also && !a.Secondary && b.Secondary && a.Device == b.Device && a.Prefix.Masked() == b.Prefix.Masked()
}

// damage does what somebody may do to podnet's objects.
func (m *memory) damage(dice *rand.Rand) {
	if len(m.held) == 0 {
		return
	}
	i := dice.IntN(len(m.held))
	switch r := m.held[i].(type) {
	case state.Sysctl:
		r.Value = "7"
		m.held[i] = r
	case state.Link:
		if dice.IntN(2) == 0 {
			m.remove(r)
			return
		}
		r.MTU, r.Learning = 1300, r.Type == "vxlan"
		m.held[i] = r
	case state.FDB:
		r.Dst = netip.MustParseAddr("192.0.2.222")
		if dice.IntN(2) == 0 {
			m.held = append(m.held, r) // a second way for the same MAC
			return
		}
		m.held[i] = r
	case state.Neigh:
		r.Permanent = false
		m.held[i] = r
	case state.Chain:
		r.Rules, r.Jumps = "", dice.IntN(3)
		m.held[i] = r
	default:
		m.remove(r)
	}
}

// doubles says whether two objects have one key.
func (m *memory) doubles() bool {
	seen := map[state.Key]bool{}
	for _, r := range m.held {
		if seen[r.Key()] {
			return true
		}
		seen[r.Key()] = true
	}
	return false
}

// lines is what is held, as text, less host-wide settings that nobody asks for: they stay.
func (m *memory) lines(want *state.Set) []string {
	var out []string
	for _, r := range m.held {
		if _, _, wanted := want.Find(r.Key()); wanted || !isSysctl(r) {
			out = append(out, fmt.Sprintf("%+v", r))
		}
	}
	slices.Sort(out)
	return out
}

// lines is a plan as text.
func lines(p *Plan) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, fmt.Sprintf("%s %s %+v -> %+v, %q %v %v", s.Op, s.Kind, s.Have, s.Want, s.Replace, s.first, s.carried))
	}
	slices.Sort(out)
	return out
}
