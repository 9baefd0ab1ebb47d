package netfilter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/podnet/podnet/state/netlink"
)

// IPTables is a table as the host's iptables has it: one of nftables, or one of the kernel's older
// filter. Which of them there are is looked up once.
type IPTables struct {
	conn     *Conn
	family   netlink.Family
	table    string
	legacy   func() (bool, error) // whether what iptables writes goes into the older filter
	inLegacy func() bool          // whether that has this table, which it has once somebody has used it
	saved    func() (saved, error)
}

// IPTables is the table of a family. Nothing is read or executed yet.
func (c *Conn) IPTables(family netlink.Family, table string) *IPTables {
	t := &IPTables{conn: c, family: family, table: table}
	t.legacy = sync.OnceValues(func() (bool, error) { return IsLegacy(t.program("iptables-restore")) })
	t.forget()
	return t
}

// forget drops what was read of the table, so that the next use reads it again. It is called after
// writing to the older filter.
func (t *IPTables) forget() {
	t.inLegacy, t.saved = sync.OnceValue(t.lookupInLegacy), sync.OnceValues(t.save)
}

// HasIPTables says whether iptables is installed; nil if so, else an error that says what is
// missing.
func HasIPTables() error {
	_, err := FindProgram("iptables-restore")
	return err
}

// HasNFTables says whether nft is installed; nil if so, else an error that says what is missing.
func HasNFTables() error {
	_, err := FindProgram("nft")
	return err
}

// program is the name of a family's iptables program.
func (t *IPTables) program(name string) string {
	if t.family == netlink.IPv6 {
		return "ip6" + strings.TrimPrefix(name, "ip")
	}
	return name
}

// IsLegacy says whether what a program of iptables writes goes into the older filter. It goes by the
// names of the files that the programs of either kind are; only where they do not tell is the
// program asked.
func IsLegacy(program string) (bool, error) {
	path, err := FindProgram(program)
	if err != nil {
		return false, err
	}
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false, err
	}
	switch base := filepath.Base(file); {
	case strings.Contains(base, "nft"):
		return false, nil
	case strings.Contains(base, "legacy"):
		return true, nil
	}
	version, err := run(program, "", "--version")
	return !strings.Contains(version, "nf_tables"), err
}

// lookupInLegacy goes by the kernel's list of tables. Root of a user namespace may not read it, and
// has the table if it is what the host's iptables writes to.
func (t *IPTables) lookupInLegacy() bool {
	names, err := os.ReadFile("/proc/thread-self/net/" +
		strings.Replace(t.program("iptables"), "tables", "_tables_names", 1))
	if errors.Is(err, fs.ErrPermission) {
		legacy, err := t.legacy()
		return err == nil && legacy
	}
	return err == nil && slices.Contains(strings.Fields(string(names)), t.table)
}

// Rules are those of a chain in order, of either kind. A chain that does not exist has none. Only
// rules in the older filter take the execution of a program, one until this IPTables changes them.
func (t *IPTables) Rules(chain string) ([]Rule, error) {
	rules, err := t.conn.Rules(Chain{t.family, t.table, chain})
	if err != nil || !t.inLegacy() {
		return rules, err
	}
	saved, err := t.saved()
	if err != nil {
		return nil, err
	}
	for _, r := range saved.rules {
		if r.Chain == chain {
			rules = append(rules, r)
		}
	}
	return rules, nil
}

// HasChain says whether a chain exists, of either kind.
func (t *IPTables) HasChain(name string) (bool, error) {
	there, err := t.conn.HasChain(Chain{t.family, t.table, name})
	if there || err != nil || !t.inLegacy() {
		return there, err
	}
	saved, err := t.saved()
	return slices.Contains(saved.chains, name), err
}

// Current are those among the rules that the host's iptables itself would list: a host that has
// changed from one kind to the other has rules of both.
func (t *IPTables) Current(rules []Rule) ([]Rule, error) {
	legacy, err := t.legacy()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool { return (r.spec != "") != legacy }), nil
}

// Listed are the rules as the host's iptables lists them, with all that Match says, which for rules
// of its own Rules cannot read. It executes a program.
func (t *IPTables) Listed() ([]Rule, error) {
	out, err := run(t.program("iptables-save"), "", "-t", t.table)
	return parseSave(out).rules, err
}

func (t *IPTables) save() (saved, error) {
	name := t.program("iptables-save")
	if _, err := FindProgram(t.program("iptables-legacy-save")); err == nil {
		name = t.program("iptables-legacy-save")
	}
	out, err := run(name, "", "-t", t.table)
	return parseSave(out), err
}

// Restore changes the table by lines as iptables-save prints them. A line `:NAME - [0:0]` makes a
// chain, and empties one that is there; other chains keep what they have. All of the lines come
// true or none, unless they are more than a socket takes at once, as for the root of a user
// namespace: then they come true in their order.
func (t *IPTables) Restore(lines ...string) error {
	err := t.restore(t.program("iptables-restore"), lines)
	if !tooLong(err) || len(lines) < 2 {
		return err
	}
	half := len(lines) / 2
	if err := t.Restore(lines[:half]...); err != nil {
		return err
	}
	return t.Restore(lines[half:]...)
}

// tooLong reports whether iptables' own socket did not take what it was to send.
func tooLong(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Message too long")
}

func (t *IPTables) restore(program string, lines []string) error {
	defer t.forget()
	input := "*" + t.table + "\n" + strings.Join(lines, "\n") + "\nCOMMIT\n"
	_, err := run(program, input, "--noflush", "--wait", fmt.Sprint(int(programTimeout.Seconds())))
	return err
}

// Delete deletes rules that were read from this table, and then chains with all that is in them.
// What is in nftables goes in one batch without a program being executed.
func (t *IPTables) Delete(rules []Rule, chains ...string) error {
	var batch Batch
	var lines []string
	for _, r := range rules {
		if r.spec == "" {
			batch.DeleteRule(t.family, t.table, r)
		} else if !slices.Contains(chains, r.Chain) { // it goes with its chain
			lines = append(lines, "-D "+r.spec)
		}
	}
	for _, name := range chains {
		c := Chain{t.family, t.table, name}
		there, err := t.conn.HasChain(c)
		if err != nil {
			return err
		}
		if there {
			batch.DeleteChain(c)
		}
	}
	return errors.Join(t.conn.Commit(&batch), t.deleteLegacy(lines, chains))
}

func (t *IPTables) deleteLegacy(lines []string, chains []string) error {
	if !t.inLegacy() {
		return nil
	}
	saved, err := t.saved()
	if err != nil {
		return err
	}
	for _, name := range chains {
		if !slices.Contains(saved.chains, name) {
			continue
		}
		// The first line empties the chain.
		lines = append([]string{":" + name + " - [0:0]"}, append(lines, "-X "+name)...)
	}
	if len(lines) == 0 {
		return nil
	}
	program := t.program("iptables-restore")
	if _, err := FindProgram(t.program("iptables-legacy-restore")); err == nil {
		program = t.program("iptables-legacy-restore")
	}
	return t.restore(program, lines)
}
