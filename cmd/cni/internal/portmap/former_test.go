package portmap

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What earlier versions made in nftables goes by DEL and GC, each pod's by itself, and the table
// with the last one.
func TestFormerTable(t *testing.T) {
	h := newHost(t, nameNFTables)
	a, b, c := h.pod("a"), h.pod("b"), h.pod("c")
	script := `add table inet podnet_portmap
add map inet podnet_portmap dnat4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; flags interval; }
add chain inet podnet_portmap hostports
add rule inet podnet_portmap hostports meta l4proto { tcp, udp, sctp } dnat ip to ip daddr . meta l4proto . th dport map @dnat4 comment "to pod IPv4"
`
	for i, p := range []*pod{a, b, c} {
		script += fmt.Sprintf("add element inet podnet_portmap dnat4 { 0.0.0.0/0 . tcp . %d comment \"net/%s/eth0\" : %s . 80 }\n", 8080+i, p.ID, p.ip4)
	}
	file := t.TempDir() + "/script"
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	h.Must("nft", "-f", file)
	left := func() (ids string) {
		for _, p := range []*pod{a, b, c} {
			if strings.Contains(h.rules(), p.ID) {
				ids += p.PodName
			}
		}
		return ids
	}
	h.must(h.on(a).as("DEL"))
	same(t, "pods after a DEL", left(), "bc")
	h.must(h.on(a).as("GC").with(`"cni.dev/valid-attachments":[{"containerID":"` + c.ID + `","ifname":"eth0"}]`))
	same(t, "pods after a GC", left(), "c")
	h.must(h.on(c).as("DEL"))
	same(t, "rules", h.rules(), "")
}
