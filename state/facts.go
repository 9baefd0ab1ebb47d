package state

// Facts are what Desired has to know of the host: what podnet neither sets nor owns.
type Facts struct {
	Underlay    string // the link that carries the node's ip, or the default route's; "": there is none
	UnderlayMTU int    // its MTU; 0: there is none
	IPLocal     bool   // the node's ip is on this host
	// of the device that podnet has made, where the underlay does not tell what it should be; 0: it
	// does
	KeptMTU     int
	IPv6        bool     // the kernel speaks IPv6
	NoIPTables  bool     // the iptables programs are not on this host
	RAListeners []string // links that switching IPv6 forwarding on would have stop listening to routers
}
