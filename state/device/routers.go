package device

// Link is what decides whether a network interface goes on listening to IPv6 routers when the host
// begins to forward.
type Link struct {
	Index    int
	Name     string
	Kind     string // as the kernel calls it; "": hardware
	Group    uint32
	Port     bool // of a bridge, a bond or the like
	Loopback bool
}

// The host's forwarding, by family.
const (
	IPv4Forwarding = "net/ipv4/ip_forward"
	IPv6Forwarding = "net/ipv6/conf/all/forwarding"
)

// ForwardIPv6 has the host forward IPv6. The settings are to be written in their order, none of
// them before the one ahead of it.
func ForwardIPv6(listeners []string) []Setting {
	var settings []Setting
	for _, name := range listeners {
		settings = append(settings, Setting{AcceptRA(name), "2"})
	}
	return append(settings, Setting{IPv6Forwarding, "1"})
}

// AcceptRA returns the path of the setting that says whether a link listens to router
// advertisements.
func AcceptRA(link string) string { return "net/ipv6/conf/" + link + "/accept_ra" }
