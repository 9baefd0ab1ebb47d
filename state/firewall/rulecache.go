package firewall

import (
	"encoding/binary"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netfilter/verdict"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// ruleCache is what iptables-save has said of one family's rules. Reading them takes a process,
// which is most of what a pass on a small node costs, and nftables numbers the generations of its
// rules: as long as the kernel names the same one, nothing that was read has changed. Rules of
// iptables-legacy have no such number and are read by every pass.
type ruleCache struct {
	program    string // the file that was run; "": none has been yet
	nftables   bool   // it keeps its rules in nftables
	generation uint32
	good       bool // the generation was the same before and after the reading

	chains []state.Chain
	blind  map[string]*blindTable // by table
	filter *verdict.Rules
	judged judgement
}

// judgement is what a family's rules mean for what is desired: found once for each reading of them,
// as most passes find both as they were.
type judgement struct {
	want      *state.Set
	underlay  string
	conflicts []state.Conflict
}

// readRules reads podnet's chains of a family and what is in their way, from the cache if it is
// known that nothing has changed. generation is nftables', if that is known.
func (h *Host) readRules(family uint8, generation uint32, known bool) (ruleCache, error) {
	c := h.rules[family]
	program, err := findProgram(command(family, "iptables-save"))
	if err == nil && c.good && known && c.generation == generation && c.program == program {
		return c, nil
	}
	if err != nil || c.program != program {
		c = ruleCache{program: program}
		if err := h.hasIPTables(family); err != nil {
			return c, err
		}
		legacy, err := netfilter.IsLegacy(command(family, "iptables-save"))
		if err != nil {
			return c, err
		}
		c.nftables = !legacy
	}
	save, err := h.readSave(family, c.nftables && known)
	if err != nil {
		return c, err
	}
	rules := verdict.Parse(save.text, command(family, "iptables"))
	if c.nftables && known {
		if err := h.doubt(family, save, rules); err != nil {
			return c, fmt.Errorf("read the sets of nftables: %w", err)
		}
	}
	after, _ := h.Generation()
	c.generation, c.good = generation, c.nftables && known && after == generation
	c.chains, c.blind, c.filter, c.judged = parseChains(family, save.text), save.blind, rules, judgement{}
	c.chains = slices.DeleteFunc(c.chains, func(chain state.Chain) bool { return c.blind[chain.Table] != nil })
	h.rules[family] = c
	if c.good {
		h.lastRead.Store(&c.generation)
	}
	return c, nil
}

// judge says what of a family's rules is in podnet's way.
func (h *Host) judge(family uint8, r ruleCache, t Traffic) []state.Conflict {
	if r.judged.want != t.Want || r.judged.underlay != t.Underlay {
		r.judged = judgement{t.Want, t.Underlay, append(inTheWay(r.chains, r.filter, t), closedInput(family, r.filter, t)...)}
		h.rules[family] = r
	}
	return r.judged.conflicts
}

// findProgram is the file that a command runs, behind all its links: update-alternatives can change
// it at any time.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// The attributes and messages of nftables' generations.
const (
	getGeneration = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN
	newGeneration = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWGEN
	genID         = 1 // NFTA_GEN_ID
	genPID        = 2 // NFTA_GEN_PROC_PID
	genName       = 3 // NFTA_GEN_PROC_NAME
)

// Generation is a state of nftables' rules, and who has made it.
type Generation struct {
	Number  uint32
	PID     int    // of the process that has changed the rules; 0 in an answer
	Program string // its name
}

// ParseGeneration reads a message of nftables. It reports false for one of something else.
func ParseGeneration(typ uint16, body []byte) (g Generation, ok bool) {
	if typ != newGeneration {
		return g, false
	}
	netlink.EachAttribute(netlink.NetfilterAttributes(body), func(typ uint16, v []byte) {
		switch {
		case typ == genID && len(v) == 4:
			g.Number, ok = binary.BigEndian.Uint32(v), true
		case typ == genPID && len(v) == 4:
			g.PID = int(binary.BigEndian.Uint32(v))
		case typ == genName:
			g.Program = unix.ByteSliceToString(v)
		}
	})
	return g, ok
}

// Generation is the number of nftables' rules as they are now; false: this kernel has no nftables,
// or does not tell.
func (h *Host) Generation() (number uint32, known bool) {
	if h.nft == nil {
		return 0, false
	}
	answers, err := h.nft.Exchange(nftRequest(getGeneration, unix.AF_UNSPEC))
	if err != nil || answers[0].Err != nil || len(answers[0].Data) == 0 {
		return 0, false
	}
	g, known := ParseGeneration(newGeneration, answers[0].Data[0])
	return g.Number, known
}

// HasRead reports whether the rules have been read as of a generation or a later one. It may be
// called beside the other methods.
func (h *Host) HasRead(g Generation) bool { return h.lastRead.covers(g.Number) }

// readGeneration is the generation that was read last, for the listener, which runs beside the
// passes.
type readGeneration struct{ atomic.Pointer[uint32] }

// covers says that the rules have been read as of a generation or a later one.
func (r *readGeneration) covers(generation uint32) bool {
	last := r.Load()
	return last != nil && int32(*last-generation) >= 0
}
