package state

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/coreos/go-iptables/iptables"
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

// hasIPTables asks go-iptables whether the programs of a family are there.
func hasIPTables(family uint8) error {
	protocol := iptables.ProtocolIPv4
	if family == 6 {
		protocol = iptables.ProtocolIPv6
	}
	if _, err := iptables.New(iptables.IPFamily(protocol)); err != nil {
		return fmt.Errorf("%s does not run: install the package iptables (%w)", command(family, "iptables"), err)
	}
	return nil
}

// listChains reports each family's rules. A family that cannot be read is an error only if a chain of it is wanted.
func listChains(n *Node, want *Set, live *Live) error {
	var failed error
	t := n.traffic(want)
	generation, known := n.generation()
	for _, family := range []uint8{4, 6} {
		r, err := n.readRules(family, generation, known)
		if err != nil {
			if wantsChains(want, family) {
				failed = errors.Join(failed, err)
			}
			continue
		}
		for _, c := range r.chains {
			live.Chains.Add(c, OwnNode)
		}
		live.Conflicts = append(live.Conflicts, n.judge(family, r, t)...)
	}
	if bases, err := n.foreignChains(generation, known); err == nil { // podnet keeps nothing there, so that nothing of its own is unknown
		live.Conflicts = append(live.Conflicts, foreignFilters(bases, t)...)
	}
	return failed
}

func wantsChains(want *Set, family uint8) bool {
	for _, c := range want.Chains.Rows() {
		if c.Family == family {
			return true
		}
	}
	return false
}

// applyChains writes all changes of a family through one iptables-restore: all of them, or none.
func (n *Node) applyChains(changes []*Change) {
	byFamily := map[uint8][]*Change{}
	for _, c := range changes {
		family := c.Object().(Chain).Family
		byFamily[family] = append(byFamily[family], c)
	}
	for family, group := range byFamily {
		_, err := runIPTables(family, "iptables-restore", restoreInput(group), "--noflush", "--wait", "5")
		for _, c := range group {
			c.Err = err
		}
	}
}

func runIPTables(family uint8, name, input string, args ...string) (string, error) {
	return runProgram(input, command(family, name), args...)
}

// runProgram gives a program its input and returns its output; the error has what it said.
func runProgram(input, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), iptablesWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = time.Second // a child of its own may hold the output open
	out, err := cmd.Output()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) { // it has succeeded
		return string(out), nil
	}
	if said := new(exec.ExitError); errors.As(err, &said) && len(said.Stderr) > 0 {
		err = errors.New(strings.Join(strings.Fields(string(said.Stderr)), " "))
	} else if ctx.Err() != nil {
		err = fmt.Errorf("gave it up after %s, see whether it works when called by hand", iptablesWait)
	}
	return "", fmt.Errorf("%s: %w", name, err)
}
