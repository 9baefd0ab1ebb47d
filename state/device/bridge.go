package device

// FirstMTU is what a bridge is made with that is to have an MTU: it is set to that afterwards. A bridge's MTU goes with the
// next port that leaves, unless somebody has changed it since its creation.
func FirstMTU(mtu int) int { return mtu - 1 }

// BridgeSettings are podnet's bridge's before it goes up where pods speak IPv6: without them its link-local address is
// tentative for two seconds after the first carrier, and the first pod cannot be reached.
func BridgeSettings(bridge string) []Setting {
	return []Setting{
		{"net/ipv6/conf/" + bridge + "/disable_ipv6", "0"},
		{"net/ipv6/conf/" + bridge + "/accept_dad", "0"},
	}
}
