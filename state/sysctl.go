package state

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
)

// Sysctl is a setting under /proc/sys: a path rather than a dotted name, because devices have dots in theirs.
type Sysctl struct {
	Path   string // such as net/ipv4/ip_forward
	Value  string
	Device string // podnet's device whose setting it is; "": the host's
	After  string // path of the host-wide setting that has to be right first; "": none
	Link   bool   // it is one of somebody else's link, and is as good as set when that has gone
}

// Key: a device's settings come before it goes up, the host's after the firewall.
func (s Sysctl) Key() Key {
	if s.Device != "" {
		return Key{Kind: KindLinkSysctl, Name: s.Path}
	}
	return Key{Kind: KindSysctl, Name: s.Path}
}

func (s Sysctl) Parent() Key {
	switch {
	case s.Device != "":
		return linkKey(s.Device)
	case s.After != "":
		return Key{Kind: KindSysctl, Name: s.After}
	}
	return Key{}
}

func (s Sysctl) Name() string  { return s.Path }
func (s Sysctl) Attrs() string { return "= " + s.Value }

func listLinkSysctls(_ *Node, want *Set, live *Live) error {
	return readSysctls(&want.LinkSysctls, &live.LinkSysctls)
}

func listSysctls(n *Node, want *Set, live *Live) error {
	err := readSysctls(&want.Sysctls, &live.Sysctls)
	if want.Addrs.Len() > 0 {
		live.Conflicts = append(live.Conflicts, ReadTracking().conflicts()...)
	}
	for _, a := range want.Addrs.Rows() {
		if a.Prefix.Addr().Is4() && a.Prefix.IsSingleIP() { // the tunnel's, if pods speak IPv4
			live.Conflicts = append(live.Conflicts, strictReversePath(a.Device, "what other nodes send to pods here from their own addresses")...)
			if want.FDB.Len() > 0 && n.underlay != "" {
				live.Conflicts = append(live.Conflicts, strictReversePath(n.underlay, "what other nodes' pods answer to this node's own address")...)
			}
		}
	}
	if slices.Contains(live.Sysctls.Rows(), Sysctl{Path: forwardIPv4, Value: "1"}) {
		live.Conflicts = append(live.Conflicts, dropsAnswers(n.underlay)...)
	}
	return err
}

// dropsAnswers: a host that forwards has links that do not if somebody has set them so, or what new ones begin with. What comes
// in by them for pods is dropped, the answers to masqueraded packets included.
func dropsAnswers(underlay string) []Conflict {
	path := "net/ipv4/conf/" + underlay + "/forwarding"
	if !SysctlIs(path, "0") {
		return nil
	}
	return []Conflict{{
		Key:    Key{Kind: KindSysctl, Name: path},
		Owner:  fmt.Sprintf("off (0): what comes in by %s for pods is dropped, answers from outside of the cluster too", underlay),
		Remedy: "sysctl -w " + shell.Quote(path+"=1"),
	}}
}

// strictReversePath is the conflict of a link whose reverse path filter is strict. What a node sends to another's pods from its
// own address goes by the tunnel, and comes back by the underlay: a strict filter drops it at either end, on the tunnel where it
// comes in, or on the underlay link of the sender where the answer does. The larger of the host's and the link's setting counts.
func strictReversePath(link, drops string) []Conflict {
	if !StrictReversePath(link) {
		return nil
	}
	path := reversePath(link)
	return []Conflict{{
		Key:    Key{Kind: KindSysctl, Name: path},
		Owner:  "strict (1, from it or from net/ipv4/conf/all/rp_filter): drops " + drops,
		Remedy: "sysctl -w " + shell.Quote(path+"=2"),
	}}
}

// StrictReversePath reports whether the kernel drops an IPv4 packet that comes in by a device and would not be answered by it.
func StrictReversePath(link string) bool {
	const strict = "1"
	effective := ""
	for _, p := range []string{reversePath("all"), reversePath(link)} {
		if value, err := device.Read(p); err == nil {
			effective = max(effective, value)
		}
	}
	return effective == strict
}

func reversePath(link string) string { return "net/ipv4/conf/" + link + "/rp_filter" }

// readSysctls reads those that the desired set names: podnet owns no other, and leaves the host's at teardown.
func readSysctls(want, live *Table[Sysctl]) error {
	var failed error
	for _, s := range want.Rows() {
		value, err := device.Read(s.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if s.Link {
				live.Add(s, OwnNode)
			}
		case err != nil:
			failed = errors.Join(failed, err)
		default:
			s.Value = value
			live.Add(s, OwnNode)
		}
	}
	return failed
}

// applySysctl writes a setting. A deletion is the device's own.
func applySysctl(_ *Node, c *Change) error {
	if c.Op == Delete {
		return nil
	}
	s := c.Want.(Sysctl)
	err := device.Setting{Path: s.Path, Value: s.Value}.Write()
	if s.Link && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
