package firewall

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-iptables/iptables"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter"
)

// iptablesWait bounds how long a busy host's xtables lock may hold a pass up.
const iptablesWait = 10 * time.Second

// command is the name of an iptables program for a family: iptables-save, ip6tables-save.
func command(family uint8, name string) string {
	if family == 6 {
		return "ip6" + strings.TrimPrefix(name, "ip")
	}
	return name
}

// hasIPTables asks go-iptables whether the programs of a family are there, and new enough: before
// 1.6.2 iptables-restore cannot wait for others, nor masquerade with random ports. A file that was
// new enough is not asked again; one file mostly is the programs of both families.
func (h *Host) hasIPTables(family uint8) error {
	program, err := findProgram(command(family, "iptables"))
	if err == nil && h.usable[program] {
		return nil
	}
	protocol := iptables.ProtocolIPv4
	if family == 6 {
		protocol = iptables.ProtocolIPv6
	}
	programs, err := iptables.New(iptables.IPFamily(protocol))
	if err != nil {
		return fmt.Errorf("%s does not run: install the package iptables (%w)", command(family, "iptables"), err)
	}
	major, minor, patch := programs.GetIptablesVersion()
	if slices.Compare([]int{major, minor, patch}, []int{1, 6, 2}) < 0 {
		return fmt.Errorf("iptables %d.%d.%d is too old: install 1.8 or newer", major, minor, patch)
	}
	h.usable[program] = true
	return nil
}

// HasIPTables reports whether the programs of iptables are on this host. It looks beyond PATH, so that
// a person whose PATH is short gets the same answer as podnetd.
func HasIPTables() bool {
	for _, name := range []string{"iptables-save", "iptables-restore"} {
		if _, err := netfilter.FindProgram(name); err != nil {
			return false
		}
	}
	return true
}

// List reports podnet's chains, in iptables and in its own table of nftables, and what is in their
// way. A table that cannot be read is an error if a chain of it is wanted, or is left there; the
// others are reported all the same.
func (h *Host) List(t Traffic, live *state.Live) error {
	generation, known := h.Generation()
	var failed []error
	for _, family := range []uint8{4, 6} {
		if t.NFT {
			failed = append(failed, h.listLeftovers(family, generation, known, t, live)...)
		} else {
			failed = append(failed, h.listIPTables(family, generation, known, t, live)...)
		}
	}
	if err := h.listOwn(generation, known, t, live); err != nil {
		failed = append(failed, err)
		for c, from := range t.Want.Chains.All() {
			if c.NFT() { // neither known nor written
				live.Chains.Add(c, from)
			}
		}
	}
	if bases, err := h.foreignChains(t.NFT, generation, known); err == nil { // podnet keeps nothing there, so that nothing of its own is unknown
		live.Conflicts = append(live.Conflicts, foreignFilters(bases, t)...)
	}
	if len(failed) > 0 {
		live.Partly = live.Partly.With(state.KindChain)
	}
	return joinOnce(failed)
}

// listIPTables reports a family's chains of iptables.
func (h *Host) listIPTables(family uint8, generation uint32, known bool, t Traffic, live *state.Live) (failed []error) {
	r, err := h.readRules(family, generation, known)
	if err != nil {
		if wantsChains(t.Want, family) {
			failed = append(failed, err)
		}
		for table := range hooks() { // what is wanted there is neither known nor written
			_ = addBlind(live, family, table, &blindTable{why: err}, t.Want)
		}
		return failed
	}
	for _, c := range r.chains {
		live.Chains.Add(c, state.OwnNode)
	}
	for _, table := range slices.Sorted(maps.Keys(r.blind)) {
		if err := addBlind(live, family, table, r.blind[table], t.Want); err != nil {
			failed = append(failed, err)
		}
	}
	live.Conflicts = append(live.Conflicts, h.judge(family, r, t)...)
	return failed
}

// listLeftovers reports a family's chains that podnet has left in iptables, where it uses nftables.
// The programs of iptables are run only if the kernel has such chains, or may have them in the
// older iptables' own tables.
func (h *Host) listLeftovers(family uint8, generation uint32, known bool, t Traffic, live *state.Live) []error {
	if !HasIPTables() {
		return nil
	}
	left := false
	if legacy, err := netfilter.IsLegacy(command(family, "iptables-save")); err == nil && legacy {
		left = !h.swept[family]
	} else if known {
		for table := range hooks() {
			chains, err := h.chainsOf(family, table)
			left = left || err == nil && slices.ContainsFunc(chains, ownChain)
		}
	}
	if !left {
		return nil
	}
	before := live.Chains.Len()
	failed := h.listIPTables(family, generation, known, t, live)
	h.swept[family] = len(failed) == 0 && live.Chains.Len() == before
	return failed
}

// ownChain says whether a chain of iptables is podnet's.
func ownChain(name string) bool { return strings.HasPrefix(name, state.ChainPrefix) }

func wantsChains(want *state.Set, family uint8) bool {
	return slices.ContainsFunc(want.Chains.Rows(), func(c state.Chain) bool { return c.Family == family })
}

// Apply writes the changes of each table of iptables through one iptables-restore, and those of
// podnet's own table in one transaction: all of them, or none. What one table refuses does not keep
// the others from being written.
func (h *Host) Apply(changes []*state.Change) {
	type table struct {
		family uint8
		name   string
	}
	groups := map[table][]*state.Change{}
	for _, c := range changes {
		chain := c.Object().(state.Chain)
		t := table{chain.Family, chain.Table}
		groups[t] = append(groups[t], c)
	}
	for t, group := range groups {
		if t.family == 0 {
			h.applyOwn(group)
		} else {
			h.restore(t.family, group)
		}
		h.forgetStaleOf(group)
	}
}

// restore writes the changes of one table of iptables.
func (h *Host) restore(family uint8, changes []*state.Change) {
	_, pid, err := runKnown(restoreInput(changes), command(family, "iptables-restore"), "--noflush", "--wait", "5")
	h.wrote(pid)
	for _, c := range changes {
		c.Err = lacksModule(err)
	}
}

func runIPTables(family uint8, name, input string, args ...string) (string, error) {
	return runProgram(input, command(family, name), args...)
}

// runProgram gives a program its input and returns its output; the error has what it said.
func runProgram(input, name string, args ...string) (string, error) {
	out, _, err := runKnown(input, name, args...)
	return out, err
}

// runKnown is runProgram for a caller that has to know which process it was; 0: it did not start.
func runKnown(input, name string, args ...string) (output string, pid int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), iptablesWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = time.Second // a child of its own may hold the output open
	out, err := cmd.Output()
	if cmd.ProcessState != nil {
		pid = cmd.ProcessState.Pid()
	}
	if err == nil || errors.Is(err, exec.ErrWaitDelay) { // it has succeeded
		return string(out), pid, nil
	}
	if said := new(exec.ExitError); errors.As(err, &said) && len(said.Stderr) > 0 {
		err = errors.New(strings.Join(strings.Fields(string(said.Stderr)), " "))
	} else if ctx.Err() != nil {
		err = fmt.Errorf("gave it up after %s, see whether it works when called by hand", iptablesWait)
	}
	return "", pid, fmt.Errorf("%s: %w", name, err)
}
