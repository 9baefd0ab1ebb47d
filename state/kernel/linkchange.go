package kernel

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// readSwitches completes devices with the switches that the vishvananda package does not read. One
// that has gone since the last look keeps what it has.
func (n *Node) readSwitches(links []state.Link) error {
	var failed error
	err := n.Conn.Ask(len(links), func(i int, b *netlink.Batch) {
		b.Message(unix.RTM_GETLINK, 0).LinkHeader(unix.IfInfomsg{Index: int32(n.Index(links[i].Device))})
	}, func(i int, body []byte, err error) {
		switch {
		case err == nil:
			decodeSwitches(&links[i], body)
		case !errors.Is(err, syscall.ENODEV):
			failed = errors.Join(failed, err)
		}
	})
	return errors.Join(err, failed)
}

func decodeSwitches(l *state.Link, body []byte) {
	is, _ := netlink.ParseLink(body)
	l.ProtoDown = is.ProtoDown
	if l.Type == "bridge" {
		l.STP = netlink.Number(is.Info(nl.IFLA_BR_STP_STATE)) != 0
		l.VLANs = netlink.Number(is.Info(nl.IFLA_BR_VLAN_FILTERING)) != 0
	}
}

// changeLink changes what differs in place; MustReplace has seen that it can.
func (n *Node) changeLink(have, want state.Link) error {
	live, ok := n.Links[want.Device]
	if !ok {
		return fmt.Errorf("%s: %w", want.Device, syscall.ENODEV)
	}
	index := live.Attrs().Index
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	req.AddData(msg)
	if have.NoARP {
		msg.Change = unix.IFF_NOARP
	}
	if have.MTU != want.MTU {
		req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(want.MTU))))
	}
	if have.MAC != want.MAC {
		req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, want.MAC[:]))
	}
	if have.Master != want.Master {
		req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(want.Master))))
	}
	if have.Local != want.Local || have.Learning != want.Learning || have.TTL != want.TTL {
		req.AddData(vxlanChange(want))
	}
	if have.STP || have.VLANs {
		req.AddData(bridgeChange(have))
	}
	if have.ProtoDown {
		req.AddData(nl.NewRtAttr(unix.IFLA_PROTO_DOWN, []byte{0}))
		req.AddData(withoutReasons())
	}
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("change %s: %w", want.Device, err)
	}
	return nil
}

// vxlanChange holds only what can change: netlink's own LinkModify always sends the port, which the
// kernel then refuses.
func vxlanChange(l state.Link) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("vxlan"))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	local := uint16(nl.IFLA_VXLAN_LOCAL)
	if l.Local.Is6() {
		local = nl.IFLA_VXLAN_LOCAL6
	}
	data.AddRtAttr(int(local), l.Local.AsSlice())
	data.AddRtAttr(nl.IFLA_VXLAN_LEARNING, []byte{0})
	data.AddRtAttr(nl.IFLA_VXLAN_TTL, []byte{l.TTL})
	return info
}

// bridgeChange switches off what is on: a kernel without VLANs refuses to be told even that.
func bridgeChange(have state.Link) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	if have.STP {
		data.AddRtAttr(nl.IFLA_BR_STP_STATE, nl.Uint32Attr(0))
	}
	if have.VLANs {
		data.AddRtAttr(nl.IFLA_BR_VLAN_FILTERING, []byte{0})
	}
	return info
}

// withoutReasons clears the reasons that programs gave for taking a device's carrier: the kernel
// gives it back to none that has one left.
func withoutReasons() *nl.RtAttr {
	const mask, value = 1, 2 // IFLA_PROTO_DOWN_REASON_MASK, _VALUE
	reasons := nl.NewRtAttr(unix.IFLA_PROTO_DOWN_REASON|unix.NLA_F_NESTED, nil)
	reasons.AddRtAttr(mask, nl.Uint32Attr(1<<32-1))
	reasons.AddRtAttr(value, nl.Uint32Attr(0))
	return reasons
}
