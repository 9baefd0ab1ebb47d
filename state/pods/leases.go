package pods

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/presence"
)

// LeaseCount is how much of a node's podCIDRs is in use.
type LeaseCount struct {
	// Used counts the leased addresses of each podCIDR.
	Used map[netip.Prefix]int
	// Outside has the leased addresses that are in none of the podCIDRs. Their pods were started
	// before the podCIDRs changed, or are gone.
	Outside []netip.Addr
}

// CountLeases counts the address leases of a network by podCIDR, going by the names of their files.
// A network without a directory has none.
func CountLeases(paths state.Paths, network string, podCIDRs []netip.Prefix) (LeaseCount, error) {
	count := LeaseCount{Used: map[netip.Prefix]int{}}
	dir, err := os.Open(filepath.Join(paths.IPAMDataDir, network))
	if errors.Is(err, fs.ErrNotExist) {
		return count, nil
	}
	if err != nil {
		return count, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if a, bad := netip.ParseAddr(name); bad == nil {
			count.add(a, podCIDRs)
		}
	}
	return count, err
}

func (c *LeaseCount) add(a netip.Addr, podCIDRs []netip.Prefix) {
	for _, p := range podCIDRs {
		if p.Contains(a) {
			c.Used[p]++
			return
		}
	}
	c.Outside = append(c.Outside, a)
}

// StalePods counts the pods that are there and hold one of the addresses.
func StalePods(n *kernel.Node, network string, addrs []netip.Addr) (int, error) {
	if len(addrs) == 0 {
		return 0, nil
	}
	store, err := ipam.Open(filepath.Join(n.Paths.IPAMDataDir, network))
	if err != nil {
		return 0, err
	}
	pods, sight := map[ipam.Owner]bool{}, presence.NewOwn(n.Conn)
	for l, err := range store.Leases() {
		if err != nil || !slices.Contains(addrs, l.Addr) || pods[l.Owner] {
			continue
		}
		if is, _, err := store.Absent(l.Owner, sight); err == nil && !is {
			pods[l.Owner] = true
		}
	}
	return len(pods), nil
}

// PoolSize is how many pods a podCIDR has room for: its addresses less the network's, the gateway's
// and, in IPv4, the broadcast's; at most 2^53-1.
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
