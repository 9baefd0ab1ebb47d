package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
	"github.com/podnet/podnet/state/sysctl"
)

func listLinkSysctls(_ *Node, want *state.Set, live *state.Live) error {
	return readSysctls(&want.LinkSysctls, &live.LinkSysctls)
}

func listSysctls(n *Node, want *state.Set, live *state.Live) error {
	err := readSysctls(&want.Sysctls, &live.Sysctls)
	if want.Addrs.Len() > 0 {
		live.Conflicts = append(live.Conflicts, ReadTracking().conflicts()...)
	}
	for _, a := range want.Addrs.Rows() {
		if a.Prefix.Addr().Is4() && a.Prefix.IsSingleIP() { // the tunnel's, if pods speak IPv4
			live.Conflicts = append(live.Conflicts,
				strictReversePath(a.Device, "what other nodes send to pods here from their own addresses")...)
			if want.FDB.Len() > 0 && n.underlay != "" {
				live.Conflicts = append(live.Conflicts,
					strictReversePath(n.underlay, "what other nodes' pods answer to this node's own address")...)
			}
		}
	}
	if slices.Contains(live.Sysctls.Rows(), state.Sysctl{Path: state.ForwardIPv4, Value: "1"}) {
		live.Conflicts = append(live.Conflicts, dropsAnswers(n.underlay)...)
	}
	return err
}

// dropsAnswers: a host that forwards has links that do not if somebody has set them so, or what new
// ones begin with. What comes in by them for pods is dropped, the answers to masqueraded packets
// included.
func dropsAnswers(underlay string) []state.Conflict {
	path := "net/ipv4/conf/" + underlay + "/forwarding"
	if !sysctl.Is(path, "0") {
		return nil
	}
	return []state.Conflict{{
		Key: state.Key{Kind: state.KindSysctl, Name: path},
		Owner: fmt.Sprintf("off (0): what comes in by %s for pods is dropped, answers from outside of the cluster too",
			underlay),
		Remedy: "sysctl -w " + shell.Quote(path+"=1"),
	}}
}

// strictReversePath is the conflict of a link whose reverse path filter is strict. What a node
// sends to another's pods from its own address goes by the tunnel, and comes back by the underlay:
// a strict filter drops it at either end, on the tunnel where it comes in, or on the underlay link
// of the sender where the answer does. The larger of the host's and the link's setting counts.
func strictReversePath(link, drops string) []state.Conflict {
	if !StrictReversePath(link) {
		return nil
	}
	path := reversePath(link)
	return []state.Conflict{{
		Key:    state.Key{Kind: state.KindSysctl, Name: path},
		Owner:  "strict (1, from it or from net/ipv4/conf/all/rp_filter): drops " + drops,
		Remedy: "sysctl -w " + shell.Quote(path+"=2"),
	}}
}

// StrictReversePath reports whether the kernel drops an IPv4 packet that comes in by a device and
// would not be answered by it.
func StrictReversePath(link string) bool {
	const strict = "1"
	effective := ""
	for _, p := range []string{reversePath("all"), reversePath(link)} {
		if value, err := sysctl.Read(p); err == nil {
			effective = max(effective, value)
		}
	}
	return effective == strict
}

func reversePath(link string) string { return "net/ipv4/conf/" + link + "/rp_filter" }

// readSysctls reads those that the desired set names: podnet owns no other, and leaves the host's
// at teardown.
func readSysctls(want, live *state.Table[state.Sysctl]) error {
	var failed error
	for _, s := range want.Rows() {
		value, err := sysctl.Read(s.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if s.Link {
				live.Add(s, state.OwnNode)
			}
		case err != nil:
			failed = errors.Join(failed, err)
		default:
			s.Value = value
			live.Add(s, state.OwnNode)
		}
	}
	return failed
}

// applySysctl writes a setting. A deletion is the device's own.
func applySysctl(_ *Node, c *state.Change) error {
	if c.Op == state.Delete {
		return nil
	}
	s := c.Want.(state.Sysctl)
	err := sysctl.Write(device.Setting{Path: s.Path, Value: s.Value})
	if s.Link && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
