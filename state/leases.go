package state

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// CountLeases counts the address leases of a network by family, going by the names of their files. A network without a
// directory has none.
func CountLeases(paths Paths, network string) (ipv4, ipv6 int, err error) {
	dir, err := os.Open(filepath.Join(paths.IPAMDataDir, network))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		a, bad := netip.ParseAddr(name)
		switch {
		case bad != nil:
		case a.Is4():
			ipv4++
		default:
			ipv6++
		}
	}
	return ipv4, ipv6, err
}

// PoolSize is how many pods a podCIDR has room for: its addresses less the network's, the gateway's and, in IPv4, the
// broadcast's; at most 2^53-1.
func PoolSize(p netip.Prefix) int64 {
	const most = 1<<53 - 1
	bits := p.Addr().BitLen() - p.Bits()
	reserved := int64(2)
	if p.Addr().Is4() {
		reserved = 3
	}
	if bits >= 53 {
		return most
	}
	return int64(1)<<bits - reserved
}
