package state

// Sysctl is a setting under /proc/sys: a path rather than a dotted name, because devices have dots
// in theirs. The values that podnet wants are in desired.go, and in device/bridge.go and
// device/routers.go.
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
		return LinkKey(s.Device)
	case s.After != "":
		return Key{Kind: KindSysctl, Name: s.After}
	}
	return Key{}
}

func (s Sysctl) Name() string  { return s.Path }
func (s Sysctl) Attrs() string { return "= " + s.Value }
