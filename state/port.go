package state

// Port is a pod's place on the bridge: the host veth that podnet's own conflist asked for. A bridge
// that is made anew has none, and its pods, though alive, talk to nobody until they get theirs
// back; nor do those whose veth is down, or whose port has options that keep frames from them.
type Port struct {
	Device  string
	Bridge  string // "": none
	Hairpin bool
	Closed  PortOptions // podnet's ports have none of these
	Down    bool        // the veth itself, whether the pod's end is up or not; podnet's never are
	Sender  Sender      // what frames may come in from
	Gone    bool        // there is no such link, and only Sender is left of it
}

// Pod is a host veth of podnet's own network, and what its pod may send from, which is known only
// where that is judged.
type Pod struct {
	Device string
	Sender Sender
}

func (p Port) Key() Key     { return Key{Kind: KindBridgePort, Name: p.Device} }
func (p Port) Parent() Key  { return LinkKey(p.Bridge) }
func (p Port) Name() string { return p.Device }

func (p Port) Attrs() string {
	s := "no master"
	switch {
	case p.Gone:
		s = "no link"
	case p.Bridge != "":
		s = "master " + p.Bridge
	}
	if p.Hairpin {
		s += " hairpin on"
	}
	s += p.Closed.String()
	if p.Down {
		s += " down"
	}
	return s + p.Sender.String()
}

// PortOptions are those options of a bridge's port that keep frames from a pod or the pod's frames
// from others, as a set of bits. learning, neigh_suppress, guard and the rest do not by themselves,
// and are left to the operator.
type PortOptions uint8

// portOptionText is an option in the words of bridge(8), and its value when it keeps frames back.
type portOptionText struct{ name, closed string }

// portOptionTexts has a text for each bit, from the lowest. flood is about unicast to a MAC that
// the bridge has not learned: a pod that has not sent anything for some time. Without mcast_flood
// and bcast_flood no other pod of the node finds out a pod's MAC. A locked port passes only what
// comes from a MAC that the bridge knows already.
func portOptionTexts() [6]portOptionText {
	return [...]portOptionText{
		{"state", "not forwarding"}, {"isolated", "on"}, {"locked", "on"}, {"flood", "off"}, {"mcast_flood",
			"off"}, {"bcast_flood", "off"},
	}
}

// String is each option with a space in front.
func (o PortOptions) String() string {
	s := ""
	for i, text := range portOptionTexts() {
		if o>>i&1 != 0 {
			s += " " + text.name + " " + text.closed
		}
	}
	return s
}

// WithPorts is the set with a port of the bridge for each pod: the pods are the runtime's to bring
// and take, not the topology's, so a set stays good for many of them. It shares everything else
// with s.
func (s *Set) WithPorts(hairpin bool, pods []Pod) *Set {
	with := *s
	with.Ports = Table[Port]{}
	judged := s.JudgesSenders()
	for _, l := range s.Links.Rows() {
		if l.Type != "bridge" {
			continue
		}
		for _, pod := range pods {
			port := Port{Device: pod.Device, Bridge: l.Device, Hairpin: hairpin}
			if judged {
				port.Sender = pod.Sender
			}
			with.Ports.Add(port, OwnNode)
		}
	}
	return &with
}
