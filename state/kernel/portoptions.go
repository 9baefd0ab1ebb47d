package kernel

import (
	"errors"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// portOption is how the kernel names one of the options of state.PortOptions, and the value with
// which frames pass.
type portOption struct {
	attr uint16
	open byte
}

// knownPortOptions are in the order of state.PortOptions.
func knownPortOptions() [6]portOption {
	return [...]portOption{
		{nl.IFLA_BRPORT_STATE, portForwarding},
		{nl.IFLA_BRPORT_ISOLATED, 0},
		{nl.IFLA_BRPORT_LOCKED, 0},
		{nl.IFLA_BRPORT_UNICAST_FLOOD, 1},
		{nl.IFLA_BRPORT_MCAST_FLOOD, 1},
		{nl.IFLA_BRPORT_BCAST_FLOOD, 1},
	}
}

const portForwarding = 3 // BR_STATE_FORWARDING

// portReader collects what a message tells of a port.
type portReader struct {
	hairpin   bool
	operating bool              // the link works at both ends: the kernel has only such ports forward
	found     state.PortOptions // that have another value than podnet's
}

func readPort(l netlink.Link) portReader {
	r := portReader{operating: l.OperUp()}
	l.EachPortOption(r.attr)
	return r
}

// attr reads one attribute of the port.
func (r *portReader) attr(typ uint16, v []byte) {
	if typ == nl.IFLA_BRPORT_MODE {
		r.hairpin = netlink.Number(v) == 1
	}
	for i, known := range knownPortOptions() {
		if known.attr == typ && netlink.Number(v) != uint32(known.open) {
			r.found |= 1 << i
		}
	}
}

// closed is what keeps frames back. The port of a pod whose own end is down does not forward, and
// is as it should be.
func (r *portReader) closed() state.PortOptions {
	if !r.operating {
		return r.found &^ 1
	}
	return r.found
}

// openPort gives a port the values with which frames pass, in one message. The state of one whose
// link has gone down meanwhile is refused, and nothing is amiss then.
func (n *Node) openPort(o state.PortOptions, index int) error {
	m := netlink.NewMessage(unix.RTM_SETLINK, 0).LinkHeader(unix.IfInfomsg{Family: unix.AF_BRIDGE, Index: int32(index)})
	m.Nest(unix.IFLA_PROTINFO, func(m *netlink.Message) {
		for i, known := range knownPortOptions() {
			if o>>i&1 != 0 {
				m.Uint8(known.attr, known.open)
			}
		}
	})
	if err := n.Conn.Do(m); !errors.Is(err, unix.ENETDOWN) {
		return err
	}
	return nil
}
