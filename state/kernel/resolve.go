package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// Resolution is what a device's table says of one next hop. Known false: there is no entry, or none
// with a MAC.
type Resolution struct {
	state.Neigh
	Known  bool
	Failed bool // the kernel has asked for it, and nobody answered
}

// Resolutions looks next hops up in a device's neighbour table, one address a question.
func (n *Node) Resolutions(device string, hops []netip.Addr) ([]Resolution, error) {
	out := make([]Resolution, len(hops))
	index := n.Index(device)
	if index == 0 {
		return out, nil
	}
	var refused error
	err := n.Conn.Ask(len(hops), func(i int, b *netlink.Batch) {
		h := unix.NdMsg{Family: uint8(netlink.FamilyOf(hops[i])), Ifindex: int32(index)}
		b.Message(unix.RTM_GETNEIGH, 0).NeighHeader(h).IP(unix.NDA_DST, hops[i])
	}, func(i int, body []byte, err error) {
		if err == nil && len(body) >= ndmLen {
			out[i] = resolutionOf(device, hops[i], body)
		} else if !errors.Is(err, syscall.ENOENT) {
			refused = err
		}
	})
	if err = errors.Join(err, refused); err != nil {
		return nil, fmt.Errorf("look neighbours of %s up: %w", device, err)
	}
	return out, nil
}

func resolutionOf(device string, hop netip.Addr, body []byte) Resolution {
	var msg neighMessage
	netlink.EachAttribute(body[ndmLen:], msg.attr)
	nud := native.Uint16(body[8:])
	return Resolution{
		Neigh:  state.Neigh{Device: device, IP: hop, MAC: msg.mac, Permanent: nud&unix.NUD_PERMANENT != 0},
		Known:  nud&(unix.NUD_INCOMPLETE|unix.NUD_FAILED|unix.NUD_NONE) == 0 && msg.mac != state.MAC{},
		Failed: nud&unix.NUD_FAILED != 0,
	}
}

// Forwardings looks MACs up in a vxlan device's FDB; an entry without Dst: there is none.
func (n *Node) Forwardings(device string, macs []state.MAC) ([]state.FDB, error) {
	out := make([]state.FDB, len(macs))
	index := n.Index(device)
	if index == 0 {
		return out, nil
	}
	var refused error
	err := n.Conn.Ask(len(macs), func(i int, b *netlink.Batch) {
		h := unix.NdMsg{Family: unix.AF_BRIDGE, Ifindex: int32(index), Flags: unix.NTF_SELF}
		b.Message(unix.RTM_GETNEIGH, 0).NeighHeader(h).Bytes(unix.NDA_LLADDR, macs[i][:])
	}, func(i int, body []byte, err error) {
		if err == nil && len(body) >= ndmLen {
			var msg neighMessage
			netlink.EachAttribute(body[ndmLen:], msg.attr)
			out[i] = state.FDB{
				Device: device, MAC: macs[i], Dst: msg.dst, Permanent: native.Uint16(body[8:])&unix.NUD_PERMANENT != 0,
				Port: msg.port, VNI: msg.vni, Out: msg.out,
			}
		} else if !errors.Is(err, syscall.ENOENT) {
			refused = err
		}
	})
	if err = errors.Join(err, refused); err != nil {
		return nil, fmt.Errorf("look MACs of %s up: %w", device, err)
	}
	return out, nil
}
