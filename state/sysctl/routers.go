package sysctl

import (
	"slices"

	"github.com/podnet/podnet/state/device"
)

// Listeners returns the names of the links that a host which does not forward IPv6 yet has to tell
// to go on listening to router advertisements. A host that forwards ignores advertisements and
// drops what it has learned from them, unless the link's accept_ra is 2. A host that forwards
// already has none: it has no such route to lose, and a link that began to listen could believe a
// guest. The same goes for podnet's own devices, for ports, and for links of a kind that guests
// hang on, unless uplink knows that a router is behind them. Neither list nor uplink is called on a
// host that forwards, which forwards reports.
func Listeners(list func() ([]device.Link, error),
	uplink func(device.Link) (bool, error)) (forwards bool, names []string, err error) {
	if forwards, err = isSet(device.IPv6Forwarding); err != nil || forwards {
		return forwards, nil, err
	}
	links, err := list()
	if err != nil {
		return false, nil, err
	}
	for _, l := range links {
		if l.Port || l.Loopback || l.Group >= device.GroupDevice && l.Group <= device.GroupDeleting || !listens(l) {
			continue
		}
		listens := slices.Contains(uplinkKinds, l.Kind)
		if !listens {
			if listens, err = uplink(l); err != nil {
				return false, nil, err
			}
		}
		if listens {
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	return false, names, nil
}

// uplinkKinds are the kinds of links that lead to the network that the host is in. Bridges, veths,
// taps and tunnels' devices lead to containers, virtual machines and other hosts' guests.
var uplinkKinds = []string{"", "bond", "team", "vlan", "macvlan", "ipvlan", "dummy"}

// listens reports whether the link listens to routers now, and would not when the host forwards. A
// link that has no such setting does not.
func listens(l device.Link) bool {
	listens, err1 := isSet(device.AcceptRA(l.Name))
	forwards, err2 := isSet("net/ipv6/conf/" + l.Name + "/forwarding")
	return err1 == nil && err2 == nil && listens && !forwards
}

func isSet(path string) (bool, error) {
	value, err := Read(path)
	return value == "1", err
}
