package state

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// portOptions are those options of a bridge's port that keep frames from a pod or the pod's frames from others, as a set.
// learning, neigh_suppress, guard and the rest do not by themselves, and are left to the operator.
type portOptions uint8

// portOption is one of them.
type portOption struct {
	attr   uint16
	name   string // as bridge(8) has it
	open   byte   // the value with which frames pass
	closed string // the other, or what it comes to
}

// knownPortOptions are numbered by their place; the port's state is the first. flood is about unicast to a MAC that the bridge has not learned, a pod that has
// not sent anything for some time; without mcast_flood and bcast_flood no other pod of the node finds out a pod's MAC; a locked
// port passes only what comes from a MAC that the bridge knows already.
func knownPortOptions() [6]portOption {
	return [...]portOption{
		{nl.IFLA_BRPORT_STATE, "state", portForwarding, "not forwarding"},
		{nl.IFLA_BRPORT_ISOLATED, "isolated", 0, "on"},
		{nl.IFLA_BRPORT_LOCKED, "locked", 0, "on"},
		{nl.IFLA_BRPORT_UNICAST_FLOOD, "flood", 1, "off"},
		{nl.IFLA_BRPORT_MCAST_FLOOD, "mcast_flood", 1, "off"},
		{nl.IFLA_BRPORT_BCAST_FLOOD, "bcast_flood", 1, "off"},
	}
}

// String is each option with a space in front.
func (o portOptions) String() string {
	s := ""
	for i, known := range knownPortOptions() {
		if o>>i&1 != 0 {
			s += fmt.Sprintf(" %s %s", known.name, known.closed)
		}
	}
	return s
}

// portReader collects what a message tells of a port.
type portReader struct {
	hairpin   bool
	operating bool        // the link works at both ends: the kernel has only such ports forward
	found     portOptions // that have another value than podnet's
}

const (
	infoSlaveData = 5 // IFLA_INFO_SLAVE_DATA
	operatingUp   = 6 // IF_OPER_UP
)

// attr reads one attribute of the port.
func (r *portReader) attr(typ uint16, v []byte) {
	if typ == nl.IFLA_BRPORT_MODE {
		r.hairpin = number(v) == 1
	}
	for i, known := range knownPortOptions() {
		if known.attr == typ && number(v) != uint32(known.open) {
			r.found |= 1 << i
		}
	}
}

// closed is what keeps frames back. The port of a pod whose own end is down does not forward, and is as it should be.
func (r *portReader) closed() portOptions {
	if !r.operating {
		return r.found &^ 1
	}
	return r.found
}

// open gives a port the values with which frames pass, in one message. The state of one whose link has gone down meanwhile is
// refused, and nothing is amiss then.
func (o portOptions) open(index int) error {
	msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
	msg.Index = int32(index)
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	req.AddData(msg)
	port := nl.NewRtAttr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, nil)
	for i, known := range knownPortOptions() {
		if o>>i&1 != 0 {
			port.AddRtAttr(int(known.attr), []byte{known.open})
		}
	}
	req.AddData(port)
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil && !errors.Is(err, syscall.ENETDOWN) {
		return err
	}
	return nil
}
