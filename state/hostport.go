package state

// HostPort is what the portmap plugin has made for a pod of podnet's own network: the rules that lead
// ports of the host to it. The plugin records them, and they are kept as its ADD left them.
type HostPort struct {
	Record  string // the record's name
	Device  string // the pod's host veth
	Pod     string // the container's id
	Backend string // what keeps the rules
	Ports   string // such as 8080/tcp to 10.244.1.2:80, separated by commas
	Lacks   string // what is missing of the rules; podnet wants nothing to be
}

func (p HostPort) Key() Key     { return Key{Kind: KindHostPort, Name: p.Device} }
func (p HostPort) Parent() Key  { return Key{} }
func (p HostPort) Name() string { return p.Device }

func (p HostPort) Attrs() string {
	s := p.Ports + " by " + p.Backend
	if p.Lacks != "" {
		s += " without " + p.Lacks
	}
	return s
}

// WithHostPorts is the set with the host ports of the pods that there are, which like the pods'
// ports of the bridge are the runtime's to bring and take. A node without a bridge has no pods. The
// set shares everything else with s.
func (s *Set) WithHostPorts(published []HostPort) *Set {
	with := *s
	with.HostPorts = Table[HostPort]{}
	if !s.WantsBridge() {
		return &with
	}
	for _, p := range published {
		with.HostPorts.Add(p, OwnNode)
	}
	return &with
}

// WantsBridge says that the set has a bridge.
func (s *Set) WantsBridge() bool {
	for _, l := range s.Links.Rows() {
		if l.Type == "bridge" {
			return true
		}
	}
	return false
}
