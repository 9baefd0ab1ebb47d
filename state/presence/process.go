package presence

import (
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// onceProcessAddrs reads, when it is asked first, the addresses that the network namespaces of
// processes have on links which are no veths: those of pods that no veth of this host leads to,
// such as macvlan's. An address on a veth that does not lead here is one of another host's, as of a
// lab on the same machine.
func onceProcessAddrs() func() (map[netip.Addr]bool, error) {
	return sync.OnceValues(func() (map[netip.Addr]bool, error) {
		processes, err := os.ReadDir("/proc")
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		found := map[netip.Addr]bool{}
		for _, p := range processes {
			if strings.Trim(p.Name(), "0123456789") != "" {
				continue
			}
			path := "/proc/" + p.Name() + "/ns/net"
			// Without a link the process has ended.
			if namespace, err := os.Readlink(path); err == nil && !seen[namespace] {
				seen[namespace] = true
				readNamespace(path, found)
			}
		}
		return found, nil
	})
}

// readNamespace takes in the addresses of a namespace. One that has gone meanwhile, that may not be
// entered, or that is the host's own has none of a pod's.
func readNamespace(path string, found map[netip.Addr]bool) {
	ns, err := netns.Open(path)
	if err != nil {
		return
	}
	defer ns.Close()
	var conn *netlink.Conn
	if err := ns.Do(func() (err error) { conn, err = netlink.Dial(); return err }); err != nil {
		return
	}
	defer conn.Close()
	links, err := conn.Links(0)
	if err != nil {
		return
	}
	addrs, err := conn.AddrsHere()
	if err != nil {
		return
	}
	for _, l := range links {
		for _, a := range addrs[l.Index] {
			if l.Kind != "veth" {
				found[a] = true
			}
		}
	}
}
