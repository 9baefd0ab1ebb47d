package netlink

// Port is how a bridge treats one of its ports.
type Port struct {
	Forwarding        bool
	Blocked           bool // it passes nothing, by an administrator's or the spanning tree's word
	Hairpin, Isolated bool
}

// Of the kernel's headers, what package unix lacks.
const (
	infoSlaveData = 5 // IFLA_INFO_SLAVE_DATA
	portState     = 1
	portHairpin   = 4
	portIsolated  = 33

	stateDisabled   = 0
	stateForwarding = 3
	stateBlocking   = 4
)

// EachPortOption calls each for every attribute that the link has as a port of a bridge.
func (l *Link) EachPortOption(each func(typ uint16, value []byte)) { EachAttribute(l.port, each) }

// Port is the link's port of a bridge; of one that is none: all false.
func (l *Link) Port() Port {
	attrs := attributes(l.port)
	state, isPort := attrs[portState]
	return Port{
		Forwarding: isPort && Number(state) == stateForwarding,
		Blocked:    isPort && (Number(state) == stateDisabled || Number(state) == stateBlocking),
		Hairpin:    Number(attrs[portHairpin]) != 0,
		Isolated:   Number(attrs[portIsolated]) != 0,
	}
}
