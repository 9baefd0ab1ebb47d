package state

import "net/netip"

// Packet is what the kernel's routing and firewall are asked about: the first of a connection.
type Packet struct {
	Src, Dst netip.Addr
	In       string // the device that it comes in by; "": this host makes it
	Out      string // the device that it leaves by; "": it is for this host, or not known yet
	Protocol uint8  // of IP, such as unix.IPPROTO_UDP; 0: any
	Port     uint16 // destination port; 0: any
}
