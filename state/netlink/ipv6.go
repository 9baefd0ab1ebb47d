package netlink

import "golang.org/x/sys/unix"

// Of the kernel's headers, what package unix lacks.
const (
	inet6Conf    = 2 // IFLA_INET6_CONF
	inet6GenMode = 8 // IFLA_INET6_ADDR_GEN_MODE
	acceptRA     = 3 // DEVCONF_ACCEPT_RA
	disableIPv6  = 26
	genModeEUI64 = 0
)

// HasIPv6 reports whether the kernel has IPv6 for the link: it has none below an MTU of 1280, or
// was started without it.
func (l *Link) HasIPv6() bool { return l.inet6(inet6Conf) != nil }

// IPv6Off reports whether IPv6 is switched off on the link.
func (l *Link) IPv6Off() bool { return l.setting(disableIPv6) != 0 }

// ListensToRouters reports whether the link's accept_ra is other than 0.
func (l *Link) ListensToRouters() bool { return l.setting(acceptRA) != 0 }

// MakesLinkLocal reports whether the kernel gives the link a link-local address made of its MAC.
func (l *Link) MakesLinkLocal() bool {
	mode := l.inet6(inet6GenMode)
	return l.HasIPv6() && !l.IPv6Off() && len(mode) == 1 && mode[0] == genModeEUI64
}

// setting is an IPv6 sysctl of the link's, which comes with it; 0 where there is none.
func (l *Link) setting(number int) uint32 {
	conf := l.inet6(inet6Conf)
	if len(conf) < 4*(number+1) {
		return 0
	}
	return native.Uint32(conf[4*number:])
}

func (l *Link) inet6(typ uint16) []byte { return Attribute(l.families, unix.AF_INET6, typ) }
