package portmap

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
)

// Chains of the nat table, by the names that the reference plugin has for them, so that either plugin goes on where the other
// stopped.
const (
	topChain      = "CNI-HOSTPORT-DNAT"
	markChainName = "CNI-HOSTPORT-SETMARK"
	masqChainName = "CNI-HOSTPORT-MASQ"
	podChain      = "CNI-DN-"
)

// iptables is the backend that reads over netlink and executes one iptables-restore a family. A pod has a chain, and for each
// mapping a rule in topChain that leads there and says in its comment what the mapping is and whose.
type iptables struct {
	conn *firewall.Conn
	nat  map[bool]*firewall.IPTables // by whether it is for IPv6
}

func newIPTables(conn *firewall.Conn) *iptables {
	return &iptables{conn, map[bool]*firewall.IPTables{false: conn.IPTables(firewall.IPv4, "nat"), true: conn.IPTables(firewall.IPv6, "nat")}}
}

// chainOf is the chain of an attachment; referenceChainOf is the one that the reference plugin makes.
func chainOf(o owner) string {
	sum := sha256.Sum256([]byte(o.String()))
	return podChain + hex.EncodeToString(sum[:])[:21]
}

func referenceChainOf(o owner) string {
	sum := sha512.Sum512([]byte(o.network + o.container))
	return podChain + hex.EncodeToString(sum[:])[:21]
}

func (t *iptables) holdings() ([]holding, error) {
	var held []holding
	for _, ipv6 := range []bool{false, true} {
		rules, err := t.nat[ipv6].Rules(topChain)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if o, m, ok := parseEntry(r.Comment); ok && m.protocol != "" {
				held = append(held, holding{o, m})
			}
		}
	}
	return held, nil
}

// entryComment is what parseEntry reads. Of the reference plugin's comment it reads the names; there is no mapping in it.
func entryComment(o owner, m mapping) string { return m.String() + " " + o.String() }

func parseEntry(comment string) (o owner, m mapping, ok bool) {
	if i := strings.LastIndexByte(comment, ' '); i > 0 {
		m, isMapping := parseMapping(comment[:i])
		o, isOwner := parseOwner(comment[i+1:])
		if isMapping && isOwner {
			return o, m, true
		}
	}
	rest, ok := strings.CutPrefix(comment, `dnat name: "`)
	network, rest, ok2 := strings.Cut(rest, `" id: "`)
	container, ok3 := strings.CutSuffix(rest, `"`)
	return newOwner(network, container, ""), mapping{}, ok && ok2 && ok3
}

// add writes both families at the same time.
func (t *iptables) add(a *attachment) error {
	var jobs []func() error
	for _, ipv6 := range []bool{false, true} {
		forwards := a.family(ipv6)
		if len(forwards) == 0 {
			continue
		}
		shared, err := t.shared(ipv6, a, masquerades(forwards))
		if err != nil {
			return err
		}
		lines := append(shared, podLines(a, ipv6)...)
		jobs = append(jobs, func() error { return t.nat[ipv6].Restore(lines...) })
	}
	failed := make([]error, len(jobs))
	var wait sync.WaitGroup
	for i, job := range jobs[1:] {
		wait.Go(func() { failed[i+1] = job() })
	}
	failed[0] = jobs[0]()
	wait.Wait()
	return errors.Join(failed...)
}

// podLines are what is one pod's. The chain's line empties what an earlier attempt may have left in it. Addresses are matched
// in there only: the conditions, which come before, may match some too, and iptables takes an option once.
func podLines(a *attachment, ipv6 bool) []string {
	chain := chainOf(a.owner)
	lines := []string{":" + chain + " - [0:0]"}
	for _, f := range a.family(ipv6) {
		lines = append(lines, fmt.Sprintf("-A %s%s %s -m comment --comment %s -j %s", topChain, quoted(a.conditions[ipv6]), f.port(), quote(entryComment(a.owner, f.mapping)), chain))
	}
	for _, r := range podRules(a, ipv6) {
		lines = append(lines, fmt.Sprintf("-A %s %s -m comment --comment %s -j %s", chain, r.match, quote(r.comment), r.target))
	}
	return lines
}

type podRule struct{ match, comment, target string }

// podRules are those of the pod's own chain.
func podRules(a *attachment, ipv6 bool) []podRule {
	var rules []podRule
	mark, _ := a.chains()
	for _, f := range a.family(ipv6) {
		for _, s := range f.sources {
			rules = append(rules, podRule{f.matches() + " -s " + s.String(), fmt.Sprintf("masquerade %s %s", s, f.mapping), mark})
		}
		rules = append(rules, podRule{f.matches(), "to pod " + f.mapping.String(), "DNAT --to-destination " + f.pod.String()})
	}
	return rules
}

func (f forward) port() string {
	return fmt.Sprintf("-p %s -m %s --dport %d", f.protocol, f.protocol, f.host.Port())
}

// matches are the options that a packet to the host's side has to match. ::1 is left out: no pod can answer it.
func (f forward) matches() string {
	match := f.port()
	switch {
	case !f.wild():
		match += " -d " + f.host.Addr().String()
	case f.ipv6():
		match += " ! -d ::1"
	}
	return match
}

// check compares the comments, which say all that is in the rules.
func (t *iptables) check(a *attachment) (string, error) {
	for _, ipv6 := range []bool{false, true} {
		forwards := a.family(ipv6)
		if len(forwards) == 0 {
			continue
		}
		if shared, err := t.shared(ipv6, a, masquerades(forwards)); err != nil || len(shared) > 0 {
			return "a rule that all pods share", err
		}
		var entries, inside []string
		for _, f := range forwards {
			entries = append(entries, entryComment(a.owner, f.mapping))
		}
		for _, r := range podRules(a, ipv6) {
			inside = append(inside, r.comment)
		}
		chain := chainOf(a.owner)
		for name, want := range map[string][]string{topChain: entries, chain: inside} {
			rules, err := t.nat[ipv6].Rules(name)
			if err != nil {
				return "", err
			}
			var got []string
			for _, r := range rules {
				if name == chain || r.Jump == chain {
					got = append(got, r.Comment)
				}
			}
			if !slices.Equal(got, want) {
				return "chain " + name, nil
			}
		}
	}
	return "", nil
}

// remove deletes rules and chains without executing anything, other than where the older filter has them.
func (t *iptables) remove(match func(owner) bool, known ...owner) ([]mapping, error) {
	var gone []mapping
	var failed error
	for _, ipv6 := range []bool{false, true} {
		removed, err := t.removeFamily(t.nat[ipv6], match, known)
		gone, failed = append(gone, removed...), errors.Join(failed, err)
	}
	return gone, failed
}

func (t *iptables) removeFamily(nat *firewall.IPTables, match func(owner) bool, known []owner) ([]mapping, error) {
	top, err := nat.Rules(topChain)
	if err != nil {
		return nil, err
	}
	var gone []mapping
	var rules []firewall.Rule
	chains := map[string]bool{}
	for _, o := range known {
		chains[chainOf(o)], chains[referenceChainOf(o)] = true, true
	}
	for _, r := range top {
		o, m, ok := parseEntry(r.Comment)
		if (!ok || !match(o)) && !chains[r.Jump] {
			continue
		}
		rules = append(rules, r)
		if strings.HasPrefix(r.Jump, podChain) {
			chains[r.Jump] = true
		}
		if m.protocol != "" {
			gone = append(gone, m)
		}
	}
	last := len(rules) > 0 && len(rules) == len(top)
	if len(top) == 0 { // nothing to remove, or somebody has flushed it
		if last, err = hasAny(nat, chains); err != nil {
			return nil, err
		}
	}
	return gone, deleteWithShared(nat, rules, chains, last)
}

func hasAny(nat *firewall.IPTables, chains map[string]bool) (bool, error) {
	for name := range chains {
		if there, err := nat.HasChain(name); there || err != nil {
			return there, err
		}
	}
	return false, nil
}
