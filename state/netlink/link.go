package netlink

import (
	"bytes"
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// Link is a network interface, as far as podnet looks at it.
type Link struct {
	Index     int
	Name      string
	Kind      string // "veth", "bridge", …; "" of a device
	MAC       net.HardwareAddr
	MTU       int
	Flags     uint32 // IFF_UP and the like
	OperState uint8
	Carrier   bool
	Master    int
	Parent    int // of a veth: the index of the other end, in its namespace
	ParentIn  int // that namespace's number in this one, which NamespaceID tells; below 0: it is this one
	Group     uint32
	Alias     string
	ProtoDown bool // a program has taken its carrier

	info, port []byte // what its kind, and its being a port of a bridge, has besides
	families   []byte // what each address family has besides
}

// Info is an attribute of its kind's, of IFLA_INFO_DATA; nil: it has none of this type.
func (l *Link) Info(typ uint16) []byte { return Attribute(l.info, typ) }

// Up says whether it is set up, and OperUp whether it passes packets.
func (l *Link) Up() bool     { return l.Flags&unix.IFF_UP != 0 }
func (l *Link) OperUp() bool { return l.OperState == operUp }

// Promiscuous reports whether somebody has set the link promiscuous. That somebody only listens, as
// tcpdump does for a while, is in no flag.
func (l *Link) Promiscuous() bool { return l.Flags&unix.IFF_PROMISC != 0 }

const (
	operUp   = 6 // IF_OPER_UP
	infoKind = 1
	infoData = 2
)

// ErrNoLink says that there is no link of that name or index.
var ErrNoLink = errors.New("no such link")

// GetLink asks for a link by its name. The kernel does what it has to do when a link changes before
// it answers, so that the link's state is the one in force.
func GetLink(name string) *Message { return getLink(0).String(unix.IFLA_IFNAME, name) }

// withoutStatistics is RTEXT_FILTER_SKIP_STATS: most of an answer's bytes.
const withoutStatistics = 1 << 3

func getLink(index int) *Message {
	m := NewMessage(unix.RTM_GETLINK, 0).LinkHeader(unix.IfInfomsg{Index: int32(index)})
	return m.Uint32(unix.IFLA_EXT_MASK, withoutStatistics)
}

// SetUp sets a link up.
func SetUp(index int) *Message {
	return NewMessage(unix.RTM_NEWLINK, 0).
		LinkHeader(unix.IfInfomsg{Index: int32(index), Flags: unix.IFF_UP, Change: unix.IFF_UP})
}

// SetDown sets a link down.
func SetDown(index int) *Message {
	return NewMessage(unix.RTM_NEWLINK, 0).LinkHeader(unix.IfInfomsg{Index: int32(index), Change: unix.IFF_UP})
}

// NewBridge makes a bridge, down: EEXIST. Its MAC is set, so that it does not follow its ports'.
func NewBridge(name string, mac net.HardwareAddr) *Message {
	m := NewMessage(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL).LinkHeader(unix.IfInfomsg{})
	m.String(unix.IFLA_IFNAME, name).Bytes(unix.IFLA_ADDRESS, mac)
	return m.Nest(unix.IFLA_LINKINFO, func(m *Message) { m.String(infoKind, "bridge") })
}

// SetMAC sets a link's MAC address. A bridge keeps one that was set, even if it is the one that it
// had; without that it takes the lowest of its ports'. The kernel forgets the link's neighbours.
func SetMAC(index int, mac net.HardwareAddr) *Message {
	return NewMessage(unix.RTM_NEWLINK, 0).LinkHeader(unix.IfInfomsg{Index: int32(index)}).Bytes(unix.IFLA_ADDRESS, mac)
}

// SetMTU sets a link's.
func SetMTU(index, mtu int) *Message {
	return NewMessage(unix.RTM_NEWLINK, 0).LinkHeader(unix.IfInfomsg{Index: int32(index)}).
		Uint32(unix.IFLA_MTU, uint32(mtu))
}

// SetPromiscuous has a link take every packet.
func SetPromiscuous(index int) *Message {
	return NewMessage(unix.RTM_NEWLINK, 0).
		LinkHeader(unix.IfInfomsg{Index: int32(index), Flags: unix.IFF_PROMISC, Change: unix.IFF_PROMISC})
}

// DelLink deletes a link.
func DelLink(index int) *Message {
	return NewMessage(unix.RTM_DELLINK, 0).LinkHeader(unix.IfInfomsg{Index: int32(index)})
}

// SetGroup puts a link into a group, and DelGroup deletes all links of one: ENODEV if there is
// none. The kernel waits once for all of them to be let go of, instead of once for each.
func SetGroup(index int, group uint32) *Message {
	return NewMessage(unix.RTM_NEWLINK, 0).LinkHeader(unix.IfInfomsg{Index: int32(index)}).Uint32(unix.IFLA_GROUP, group)
}

// DelGroup is described with SetGroup.
func DelGroup(group uint32) *Message {
	return NewMessage(unix.RTM_DELLINK, 0).LinkHeader(unix.IfInfomsg{}).Uint32(unix.IFLA_GROUP, group)
}

// LinkByName returns the link: ErrNoLink.
func (c *Conn) LinkByName(name string) (*Link, error) { return c.link(GetLink(name)) }

// LinkByIndex returns the link: ErrNoLink.
func (c *Conn) LinkByIndex(index int) (*Link, error) {
	return c.link(getLink(index))
}

func (c *Conn) link(m *Message) (*Link, error) {
	answers, err := c.Exchange(m)
	if err != nil {
		return nil, err
	}
	return answers[0].Link()
}

// Link reads the answer to GetLink: ErrNoLink.
func (a Answer) Link() (*Link, error) {
	if errors.Is(a.Err, unix.ENODEV) {
		return nil, ErrNoLink
	}
	if a.Err != nil {
		return nil, a.Err
	}
	if len(a.Data) == 0 {
		return nil, ErrNoLink
	}
	l, ok := ParseLink(a.Data[0])
	if !ok {
		return nil, errCutOff
	}
	return &l, nil
}

var errCutOff = errors.New("receive from netlink: a link that is cut off")

// EachLink hands every link to each. If the list changes while it is read, EachLink calls reset and
// begins again.
func (c *Conn) EachLink(reset func(), each func(Link)) error {
	return c.Dump(getLink(0), reset, func(body []byte) {
		if l, ok := ParseLink(body); ok {
			each(l)
		}
	})
}

// Links lists the links whose master has this index; 0: all links.
func (c *Conn) Links(master int) ([]*Link, error) {
	m := getLink(0)
	if master != 0 {
		m.Uint32(unix.IFLA_MASTER, uint32(master))
	}
	data, err := c.list(m)
	if err != nil {
		return nil, err
	}
	var links []*Link
	for _, d := range data {
		l, ok := ParseLink(d)
		if !ok {
			return nil, errCutOff
		}
		if master == 0 || l.Master == master {
			links = append(links, &l)
		}
	}
	return links, nil
}

// NamespaceID is the number that an open network namespace has in this one; below 0: none, so that
// no link here leads there.
func (c *Conn) NamespaceID(fd int) (int, error) {
	answers, err := c.Exchange(NewMessage(unix.RTM_GETNSID, 0).Raw(0, 0, 0, 0).Uint32(unix.NETNSA_FD, uint32(fd)))
	if err == nil {
		err = answers[0].Err
	}
	if err != nil || len(answers[0].Data) == 0 || len(answers[0].Data[0]) < 4 {
		return -1, err
	}
	return int(int32(Number(Attribute(answers[0].Data[0][4:], unix.NETNSA_NSID)))), nil
}

// ParseLink reads the body of a message about a link, or about a port of a bridge. It reports false
// if the body is cut off. What the link has as one of its kind or as a port is read from the body
// when it is asked for.
func ParseLink(b []byte) (l Link, ok bool) {
	if len(b) < unix.SizeofIfInfomsg {
		return l, false
	}
	l = Link{Index: int(native.Uint32(b[4:])), Flags: native.Uint32(b[8:]), ParentIn: -1}
	EachAttribute(b[unix.SizeofIfInfomsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.Name = Text(v)
		case unix.IFLA_ADDRESS:
			l.MAC = bytes.Clone(v)
		case unix.IFLA_MTU:
			l.MTU = int(Number(v))
		case unix.IFLA_OPERSTATE:
			l.OperState = uint8(Number(v))
		case unix.IFLA_CARRIER:
			l.Carrier = Number(v) != 0
		case unix.IFLA_MASTER:
			l.Master = int(Number(v))
		case unix.IFLA_LINK:
			l.Parent = int(Number(v))
		case unix.IFLA_LINK_NETNSID:
			l.ParentIn = int(int32(Number(v)))
		case unix.IFLA_GROUP:
			l.Group = Number(v)
		case unix.IFLA_IFALIAS:
			l.Alias = Text(v)
		case unix.IFLA_PROTO_DOWN:
			l.ProtoDown = Number(v) != 0
		case unix.IFLA_AF_SPEC:
			l.families = v
		case unix.IFLA_PROTINFO:
			if b[0] == unix.AF_BRIDGE {
				l.port = v
			}
		case unix.IFLA_LINKINFO:
			l.readInfo(v)
		}
	})
	return l, true
}

func (l *Link) readInfo(info []byte) {
	l.Kind = Text(Attribute(info, infoKind))
	l.info, l.port = Attribute(info, infoData), Attribute(info, infoSlaveData)
}
