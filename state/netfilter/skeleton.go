package netfilter

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// Accept ends the way of a packet through the chains of its hook.
func (x *Expressions) Accept() *Expressions { return x.verdict(verdictAccept, "") }

// JumpTo goes on in another chain, and comes back.
func (x *Expressions) JumpTo(chain string) *Expressions { return x.verdict(verdictJump, chain) }

// GoTo goes on in another chain, and does not come back.
func (x *Expressions) GoTo(chain string) *Expressions { return x.verdict(verdictGoto, chain) }

// Return goes back to where the chain was jumped to from; Drop ends the packet.
func (x *Expressions) Return() *Expressions { return x.verdict(verdictReturn, "") }

// Drop is described with Return.
func (x *Expressions) Drop() *Expressions { return x.verdict(verdictDrop, "") }

// Verdicts of the kernel's, of which some are negative.
const (
	verdictDrop   = 0
	verdictAccept = 1
	verdictJump   = 0xfffffffd
	verdictGoto   = 0xfffffffc
	verdictReturn = 0xfffffffb
)

func (x *Expressions) verdict(code uint32, chain string) *Expressions {
	return x.immediate(unix.NFT_REG_VERDICT, func(m *netlink.Message) {
		m.Nest(unix.NFTA_DATA_VERDICT, func(m *netlink.Message) {
			m.NetUint32(unix.NFTA_VERDICT_CODE, code)
			if chain != "" {
				m.String(unix.NFTA_VERDICT_CHAIN, chain)
			}
		})
	})
}

// Local asks for a destination that is an address of this host.
func (x *Expressions) Local() *Expressions {
	const destination, local = 1 << 1, 2 // NFTA_FIB_F_DADDR, RTN_LOCAL
	x.add("fib", numbers(unix.NFTA_FIB_DREG, register, unix.NFTA_FIB_RESULT, unix.NFT_FIB_RESULT_ADDRTYPE,
		unix.NFTA_FIB_FLAGS, destination))
	return x.compare(unix.NFT_CMP_EQ, binary.NativeEndian.AppendUint32(nil, local))
}

// Interface asks for the interface that a packet comes in by.
func (x *Expressions) Interface(name string) *Expressions {
	return x.meta(unix.NFT_META_IIFNAME).
		compare(unix.NFT_CMP_EQ, append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...))
}

// Sender asks for the Ethernet address that a frame comes from.
func (x *Expressions) Sender(mac [6]byte) *Expressions {
	return x.payload(unix.NFT_PAYLOAD_LL_HEADER, senderOffset, len(mac)).compare(unix.NFT_CMP_EQ, mac[:])
}

// AddTable makes a table; one that is there is no error.
func (b *Batch) AddTable(f netlink.Family, name string) {
	b.add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, f, table(name), "make table %s", name)
}

// table is the body of a message about a table.
func table(name string) content {
	return func(m *netlink.Message) { m.String(unix.NFTA_TABLE_NAME, name) }
}

// Hook is where the kernel looks at a base chain.
type Hook struct {
	Type     string // nat or filter
	Number   uint32
	Priority int32
}

// Hooks at the priorities of nft's names for them.
var (
	DNAT       = Hook{"nat", unix.NF_INET_PRE_ROUTING, -100}
	OutputNAT  = Hook{"nat", unix.NF_INET_LOCAL_OUT, -100}
	SNAT       = Hook{"nat", unix.NF_INET_POST_ROUTING, 100}
	BridgeDNAT = Hook{"filter", unix.NF_INET_PRE_ROUTING, -300} // of tables of bridges
)

// AddBaseChain makes a base chain, or empties the one that is there; KeepBaseChain leaves that
// one's rules.
func (b *Batch) AddBaseChain(c Chain, h Hook) {
	b.KeepBaseChain(c, h)
	b.emptyChain(c)
}

// KeepBaseChain is described with AddBaseChain.
func (b *Batch) KeepBaseChain(c Chain, h Hook) {
	b.addChain(c, func(m *netlink.Message) {
		c.itself(m)
		m.Nest(unix.NFTA_CHAIN_HOOK, numbers(unix.NFTA_HOOK_HOOKNUM, h.Number, unix.NFTA_HOOK_PRIORITY, uint32(h.Priority)))
		m.String(unix.NFTA_CHAIN_TYPE, h.Type)
	})
}

// AddChain makes a chain, or empties the one that is there; KeepChain leaves that one's rules.
func (b *Batch) AddChain(c Chain) {
	b.KeepChain(c)
	b.emptyChain(c)
}

// KeepChain is described with AddChain.
func (b *Batch) KeepChain(c Chain) { b.addChain(c, c.itself) }

func (b *Batch) addChain(c Chain, body content) {
	b.add(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, c.Family, body, "make chain %s", c.Name)
}

func (b *Batch) emptyChain(c Chain) {
	b.add(unix.NFT_MSG_DELRULE, 0, c.Family, c.ofRule, "empty chain %s", c.Name)
}

// DeleteEmpty deletes a chain, and the table that it is in, if there is no rule and no other chain:
// EBUSY.
func (b *Batch) DeleteEmpty(c Chain) {
	const notMore = 0x100 // NLM_F_NONREC
	b.add(unix.NFT_MSG_DELCHAIN, notMore, c.Family, c.itself, "delete chain %s", c.Name)
	b.add(unix.NFT_MSG_DELTABLE, notMore, c.Family, table(c.Table), "delete table %s", c.Table)
}
