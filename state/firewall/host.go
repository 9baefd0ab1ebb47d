package firewall

import (
	"time"

	"github.com/podnet/podnet/state/netfilter"
)

// Host is what filters the packets of one network namespace. It is for one goroutine at a time.
type Host struct {
	nft    *netfilter.Conn     // nil: without nftables in this kernel
	wrote  func(pid int)       // told of each process that has written rules
	rules  map[uint8]ruleCache // by family
	usable map[string]bool     // the files of iptables programs that are new enough
	swept  map[uint8]bool      // families in which the older iptables has none of podnet's chains
	bases  baseChains
	own    ownTables

	sendersLack error // why not all that pods may send from has been written in this pass

	lastRead readGeneration // of nftables

	// Trial is how much longer the trial of a topology lasts at most; 0: there is none.
	Trial time.Duration
}

// Open returns the filters of the calling thread's network namespace. wrote is told the pid of each
// program that has changed rules.
func Open(wrote func(pid int)) *Host {
	nft, err := netfilter.Dial()
	if err != nil {
		nft = nil
	}
	return &Host{nft: nft, wrote: wrote, rules: map[uint8]ruleCache{}, usable: map[string]bool{},
		swept: map[uint8]bool{}}
}

// Close gives the connection to netfilter back.
func (h *Host) Close() {
	if h.nft != nil {
		h.nft.Close()
	}
}
