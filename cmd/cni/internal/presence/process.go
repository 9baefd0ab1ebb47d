package presence

import (
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"sync"
)

// onceProcessAddrs reads, when it is asked first, the addresses in the network namespaces of all processes but this one's: those of
// pods that no veth leads to, such as macvlan's.
func onceProcessAddrs() func() (map[netip.Addr]bool, error) {
	return sync.OnceValues(func() (map[netip.Addr]bool, error) {
		here, err := os.Readlink("/proc/self/ns/net")
		if err != nil {
			return nil, err
		}
		processes, err := os.ReadDir("/proc")
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{here: true}
		found := map[netip.Addr]bool{}
		for _, p := range processes {
			dir := "/proc/" + p.Name()
			namespace, err := os.Readlink(dir + "/ns/net")
			if err != nil || seen[namespace] { // no process, or none any more
				continue
			}
			seen[namespace] = true
			readTrie(dir+"/net/fib_trie", found)
			readIPv6(dir+"/net/if_inet6", found)
		}
		return found, nil
	})
}

// readTrie takes in the IPv4 addresses of a namespace: each is a leaf of the kernel's tree, with "host LOCAL" in the line behind it.
func readTrie(path string, found map[netip.Addr]bool) {
	text, _ := os.ReadFile(path) // nothing, if the process has ended
	leaf := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if address, ok := strings.CutPrefix(line, "|-- "); ok {
			leaf = address
		} else if a, err := netip.ParseAddr(leaf); err == nil && strings.HasSuffix(line, "host LOCAL") {
			found[a] = true
		}
	}
}

// readIPv6 takes in the IPv6 addresses of a namespace: each line begins with one, in hexadecimal digits.
func readIPv6(path string, found map[netip.Addr]bool) {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		digits, _, _ := strings.Cut(line, " ")
		b, err := hex.DecodeString(digits)
		if a, ok := netip.AddrFromSlice(b); ok && err == nil {
			found[a] = true
		}
	}
}
