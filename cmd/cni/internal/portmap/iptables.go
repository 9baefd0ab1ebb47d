package portmap

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// Chains of the nat table, by the names that the reference plugin has for them, so that either
// plugin goes on where the other stopped.
const (
	topChain      = "CNI-HOSTPORT-DNAT"
	markChainName = "CNI-HOSTPORT-SETMARK"
	masqChainName = "CNI-HOSTPORT-MASQ"
	podChain      = "CNI-DN-"
)

// iptables is the backend that reads over netlink and executes one iptables-restore a family. It
// writes the rules of the reference plugin: in topChain entries for up to 15 ports each, which lead
// to a chain of the pod's. Beside them that chain has, for each mapping, a rule without effect
// whose comment says what the mapping is and whose.
type iptables struct {
	conn *netfilter.Conn
	nat  map[bool]*netfilter.IPTables // by whether it is for IPv6
}

func newIPTables(conn *netfilter.Conn) *iptables {
	return &iptables{conn, map[bool]*netfilter.IPTables{
		false: conn.IPTables(netlink.IPv4, "nat"),
		true:  conn.IPTables(netlink.IPv6, "nat"),
	}}
}

// families are both, as keys of nat.
var families = []bool{false, true}

// holdings reads only the chains that an entry with one of the ports leads to, or one that does not
// tell its ports.
func (t *iptables) holdings(ports map[uint16]bool) ([]holding, error) {
	var held []holding
	for _, ipv6 := range families {
		entries, err := t.entries(ipv6)
		if err != nil {
			return nil, err
		}
		for name, list := range entries {
			concerns := func(r netfilter.Rule) bool {
				return len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(p uint16) bool {
					return ports[p]
				})
			}
			if !slices.ContainsFunc(list, concerns) {
				continue
			}
			c, err := t.chain(ipv6, name, list)
			if err != nil {
				return nil, err
			}
			if c.theirs() {
				if err := t.listTheirs(c); err != nil {
					return nil, err
				}
			}
			for _, m := range c.mappings {
				held = append(held, holding{c.owner, m})
			}
		}
	}
	return held, nil
}

// add writes both families at the same time.
func (t *iptables) add(a *attachment) error {
	var jobs []func() error
	for _, ipv6 := range families {
		forwards := a.family(ipv6)
		if len(forwards) == 0 {
			continue
		}
		if err := t.hasMarkChain(ipv6, a, masquerades(forwards)); err != nil {
			return err
		}
		lines, err := t.shared(ipv6, a, masquerades(forwards))
		if err != nil {
			return err
		}
		chain, err := t.freeChain(ipv6, a.owner)
		if err != nil {
			return err
		}
		lines = append(append(lines, podLines(a, ipv6, chain)...), entryLines(a, ipv6, chain)...)
		jobs = append(jobs, func() error { return a.blame(t.nat[ipv6].Restore(lines...), ipv6) })
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

// hasMarkChain refuses a configuration that names a chain which is not there.
func (t *iptables) hasMarkChain(ipv6 bool, a *attachment, masquerade bool) error {
	if a.markChain == "" || !masquerade {
		return nil
	}
	there, err := t.nat[ipv6].HasChain(a.markChain)
	if err != nil || there {
		return err
	}
	program := "iptables"
	if ipv6 {
		program = "ip6tables"
	}
	return configError("externalSetMarkChain: there is no chain %s in the nat table of %s: "+
		"start what makes it (kube-proxy makes KUBE-MARK-MASQ), "+
		"or leave the field out, for a chain of the plugin's own", a.markChain, program)
}

// podLines returns the lines that make a pod's chain. The chain's own line empties what an earlier
// attempt may have left in it.
func podLines(a *attachment, ipv6 bool, chain string) []string {
	lines := []string{":" + chain + " - [0:0]"}
	for _, r := range podRules(a, ipv6) {
		lines = append(lines, "-A "+chain+r.line())
	}
	return lines
}

// podRule is a rule of a pod's chain.
type podRule struct{ match, comment, target string }

func (r podRule) line() string {
	line := r.match
	if r.comment != "" {
		line += " -m comment --comment " + netfilter.Quote(r.comment)
	}
	if r.target != "" {
		line += " -j " + r.target
	}
	return line
}

// podRules returns the rules of the pod's own chain. They leave out ::1, which no pod can answer.
func podRules(a *attachment, ipv6 bool) []podRule {
	var rules []podRule
	forwards := a.family(ipv6)
	for _, f := range forwards {
		rules = append(rules, podRule{comment: markerComment(a.owner, f.mapping)})
	}
	if ipv6 {
		rules = append(rules, podRule{match: " -d ::1/128", target: "RETURN"})
	}
	mark, _ := a.chains()
	for _, f := range forwards {
		for _, s := range f.sources {
			if s.Addr().IsLoopback() { // as the reference plugin's CHECK looks for it
				rules = append(rules, podRule{match: f.matches() + " -s 127.0.0.1", target: mark})
			}
			rules = append(rules, podRule{match: f.matches() + " -s " + s.String(), target: mark})
		}
		rules = append(rules,
			podRule{match: f.matches(), target: "DNAT --to-destination " + f.pod.String()})
	}
	return rules
}

// matches returns the options that select a packet to the host's side.
func (f forward) matches() string {
	match := fmt.Sprintf(" -p %s -m %s --dport %d", f.protocol, f.protocol, f.host.Port())
	if !f.wild() {
		match += " -d " + f.host.Addr().String()
	}
	return match
}

// entryPorts is how many ports an entry has at most.
const entryPorts = 15

// entryLines lead to the pod's chain. They list what the runtime asked for, whichever family it is
// for, by protocol.
func entryLines(a *attachment, ipv6 bool, chain string) []string {
	var lines []string
	for _, e := range entriesOf(a) {
		var ports []string
		for _, p := range e.ports {
			ports = append(ports, strconv.Itoa(int(p)))
		}
		lines = append(lines, fmt.Sprintf(
			"-A %s -p %s -m comment --comment %s -m multiport --dports %s%s -j %s",
			topChain, e.protocol, netfilter.Quote(entryComment(a.owner)),
			strings.Join(ports, ","), quoted(a.conditions[ipv6]), chain,
		))
	}
	return lines
}

// portEntry is what one entry leads to the pod.
type portEntry struct {
	protocol string
	ports    []uint16
}

func entriesOf(a *attachment) []portEntry {
	byProtocol := map[string][]uint16{}
	for _, e := range a.asked {
		byProtocol[e.protocol()] = append(byProtocol[e.protocol()], uint16(e.HostPort))
	}
	var entries []portEntry
	for _, protocol := range []string{"sctp", "tcp", "udp"} {
		for ports := range slices.Chunk(byProtocol[protocol], entryPorts) {
			entries = append(entries, portEntry{protocol, ports})
		}
	}
	return entries
}

// check compares what is in force with what an ADD would write; of the reference plugin's rules,
// with what these would have to do.
func (t *iptables) check(a *attachment) (string, error) {
	for _, ipv6 := range families {
		forwards := a.family(ipv6)
		if len(forwards) == 0 {
			continue
		}
		if shared, err := t.shared(ipv6, a, masquerades(forwards)); err != nil || len(shared) > 0 {
			return "a rule that all pods share", err
		}
		entries, err := t.entries(ipv6)
		if err != nil {
			return "", err
		}
		c, err := t.mine(ipv6, a.owner, entries)
		if err != nil {
			return "", err
		}
		if c == nil {
			return "chain " + referenceChainOf(a.owner), nil
		}
		if c.theirs() {
			if err := t.listTheirs(c); err != nil {
				return "", err
			}
			if missing := c.lacks(a); missing != "" {
				return missing, nil
			}
			continue
		}
		if !c.leadHere(a) {
			return "chain " + topChain, nil
		}
		if !c.holds(podRules(a, ipv6)) {
			return "chain " + c.name, nil
		}
	}
	return "", nil
}

// conflictOf returns the error of a host port that another container has.
func conflictOf(h holding, f *forward) error {
	whose := h.owner.String() + " (network/container/interface)"
	if !h.owner.complete() {
		whose = "container " + h.owner.container
	}
	return protocol.Errorf(protocol.CodeConflict,
		"host port %d/%s is taken: %s has %s, which leads to %s, and %s was asked for; "+
			"choose another port or hostIP, or remove that container",
		h.host.Port(), h.protocol, whose, h.host, h.pod, f.host)
}
