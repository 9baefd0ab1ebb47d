package kernel

import (
	"errors"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"

	vishvananda "github.com/vishvananda/netlink"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
)

// senders is one look at what pods may send from.
type senders struct {
	n      *Node
	held   map[string]state.Sender // what is let through now, by host veth
	judges bool                    // false: this kernel cannot judge it
	stores map[string]*ipam.Store  // by network
}

// senders returns nil if the topology does not ask for pods to be judged by what they send from.
func (n *Node) senders(want *state.Set) (*senders, error) {
	if !want.JudgesSenders() {
		return nil, nil
	}
	held, judges, err := n.Firewall.Senders()
	return &senders{n, held, judges, map[string]*ipam.Store{}}, err
}

// add puts into a pod and its port what it may send from, and what is let through. A kernel that
// cannot judge it counts as doing so.
func (s *senders) add(v HostVeth, pod *state.Pod, port *state.Port, live *state.Live) error {
	if s == nil {
		return nil
	}
	port.Sender = s.held[v.Device]
	given, err := s.given(v, port.Sender)
	if errors.Is(err, ErrGone) {
		given, err = port.Sender, nil
	} else if err == nil && given == (state.Sender{}) && s.judges {
		live.Conflicts = append(live.Conflicts, state.Conflict{
			Key: port.Key(), Counts: true,
			Owner: "podnet cannot tell which address its pod was given, and so lets nothing through that it sends: restart the pod",
		})
	}
	pod.Sender = given
	if !s.judges {
		port.Sender = given
	}
	return err
}

// given returns what a pod may send from: what the plugin has left with its leases. Of a pod that an
// older plugin added that is its MAC address when it was first looked at, and its addresses then if
// it has no lease. The zero value: nobody can tell.
func (s *senders) given(v HostVeth, held state.Sender) (state.Sender, error) {
	addrs, mac, err := s.leased(v)
	if err != nil {
		return state.Sender{}, err
	}
	if known, complete := state.SenderOf(mac, addrs); complete {
		return known, nil
	}
	if held != (state.Sender{}) && held.Damage == "" {
		mac = held.MAC
		if len(addrs) == 0 {
			addrs = held.Addrs()
		}
	} else {
		end, err := s.n.End(v)
		if err != nil {
			return state.Sender{}, err
		}
		mac = end.MAC
		if len(addrs) == 0 {
			addrs = addrsOf(end.Addrs)
		}
	}
	if known, complete := state.SenderOf(mac, addrs); complete {
		return known, nil
	}
	return state.Sender{}, nil
}

// leased returns what the store of leases says of the pod behind a veth.
func (s *senders) leased(v HostVeth) ([]netip.Addr, [6]byte, error) {
	network, id, ifname, ok := device.ParsePodAlias(v.Alias)
	if !ok {
		return nil, [6]byte{}, nil
	}
	if s.stores[network] == nil {
		store, err := ipam.Open(filepath.Join(s.n.Paths.IPAMDataDir, network))
		if err != nil {
			return nil, [6]byte{}, err
		}
		s.stores[network] = store
	}
	return s.stores[network].Given(ipam.Owner{ContainerID: id, IfName: ifname})
}

func addrsOf(prefixes []netip.Prefix) (addrs []netip.Addr) {
	for _, p := range prefixes {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

// gone returns what is let through by host veths that there are none of: a pod was removed by
// somebody who knows nothing of it.
func (s *senders) gone() (ports []state.Port) {
	if s == nil {
		return nil
	}
	for _, veth := range slices.Sorted(maps.Keys(s.held)) {
		if s.n.Links[veth] == nil {
			ports = append(ports, state.Port{Device: veth, Gone: true, Sender: s.held[veth]})
		}
	}
	return ports
}

// changesSender says whether a change of a port is one of what it lets through. A plugin makes the
// veth first, so that one which has gone is looked for again.
func (n *Node) changesSender(c *state.Change) (bool, error) {
	have, _ := c.Have.(state.Port)
	want, _ := c.Want.(state.Port)
	if have.Sender == want.Sender || !have.Gone {
		return have.Sender != want.Sender, nil
	}
	_, err := n.Handle.LinkByName(have.Device)
	if errors.As(err, new(vishvananda.LinkNotFoundError)) {
		return true, nil
	}
	return false, err
}
