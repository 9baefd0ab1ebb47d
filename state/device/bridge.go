package device

// FirstMTU is what a bridge is made with that is to have an MTU: it is set to that afterwards. A
// bridge's MTU goes with the next port that leaves, unless somebody has changed it since its
// creation.
func FirstMTU(mtu int) int { return mtu - 1 }

// BridgeSettings are podnet's bridge's before it goes up, by the families that pods speak. Without
// accept_dad=0 its link-local address is tentative for two seconds after the first carrier, and the
// first pod cannot be reached.
func BridgeSettings(bridge string, ipv4, ipv6 bool) []Setting {
	settings := []Setting{IgnoreRouters(bridge)}
	if ipv6 {
		settings = append(settings,
			AllowIPv6(bridge),
			Setting{"net/ipv6/conf/" + bridge + "/accept_dad", "0"})
	}
	if ipv4 {
		settings = append(settings, Forward(bridge))
	}
	return settings
}

// IgnoreRouters keeps a link that pods or the tunnel's packets come in by from taking any of them
// for the host's IPv6 router, whether pods speak IPv6 or not: the kernel does by default.
func IgnoreRouters(link string) Setting { return Setting{AcceptRA(link), "0"} }

// AllowIPv6 lets a link have IPv6 addresses, whatever new links begin with.
func AllowIPv6(link string) Setting { return Setting{"net/ipv6/conf/" + link + "/disable_ipv6", "0"} }

// Forward has the host forward what IPv4 comes in by a link, whatever new links begin with. Of IPv6
// the kernel asks the host's setting alone.
func Forward(link string) Setting { return Setting{"net/ipv4/conf/" + link + "/forwarding", "1"} }
