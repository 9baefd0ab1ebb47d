// Package masquerade keeps the rules that give packets of a network's pods the node's address when they leave it. There is
// one set of rules for all pods of a network wherever its addresses come out of ranges of this node; they are looked at over
// netlink, and a program is executed only when one is missing.
//
// A network's rules are there as long as it has pods: the DEL of the last one removes them, and a GC that finds no pod does
// so too, for those that were killed in between. All three hold the packet filter's lock, and an ADD has its lease before it
// looks, so that no rule goes from under a pod that is being added.
package masquerade

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
)

// Backends, as configurations name them.
const (
	Auto     = "auto"
	IPTables = "iptables"
	NFTables = "nftables"
)

// Rule masquerades what comes from a source and does not go to its own network, nor to many at once.
type Rule struct {
	Source netip.Prefix
	Within netip.Prefix // where packets keep their source
	Owner  string       // of a rule for one pod: the name of its host veth
}

// lockTimeout is how long others may hold the packet filter.
const lockTimeout = 10 * time.Second

// comment tells a rule from all others, to those who read it and to this package.
func (r Rule) comment(network string) string {
	return strings.TrimSuffix(prefix(network)+r.Source.String()+" "+r.Owner, " ")
}

// longName bounds what of a network's name stands in comments, for which nftables has 128 bytes.
const longName = 48

// prefix begins the comments of a network's rules. A name of a network has no space.
func prefix(network string) string {
	if len(network) > longName {
		sum := sha256.Sum256([]byte(network))
		network = network[:longName-16] + hex.EncodeToString(sum[:8])
	}
	return "ipMasq " + network + " "
}

// chain is where the rules of one network and destination are, in either backend.
func chain(network string, within netip.Prefix) string {
	sum := sha256.Sum256([]byte(network + " " + within.String()))
	return "CNI-MASQ-" + hex.EncodeToString(sum[:])[:16]
}

func family(p netip.Prefix) firewall.Family {
	if p.Addr().Is4() {
		return firewall.IPv4
	}
	return firewall.IPv6
}

func multicast(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "224.0.0.0/4"
	}
	return "ff00::/8"
}

// backend keeps rules in one of the kernel's ways.
type backend interface {
	// repairs are what adds the rules that are missing, each in one transaction; none are missing: none.
	repairs(network string, rules []Rule) ([]repair, error)
	// remove removes the network's rules that match says, by their comments, and what held only these.
	remove(network string, match func(comment string) bool) error
}

type repair func() error

// choose picks as the reference plugin does: iptables, unless only nft is there.
func choose(name string, c *firewall.Conn) backend {
	switch {
	case name == IPTables, name != NFTables && (firewall.HasIPTables() == nil || firewall.HasNFTables() != nil):
		return iptables{c}
	default:
		return nftables{c}
	}
}

// Ensure makes the network's rules be there. The caller has made sure that they are wanted: by a lease.
func Ensure(backendName, network string, rules []Rule) error {
	return locked(func(c *firewall.Conn) error {
		repairs, err := choose(backendName, c).repairs(network, rules)
		for _, r := range repairs {
			if err == nil {
				err = r()
			}
		}
		return err
	})
}

// There says whether all of the rules are.
func There(backendName, network string, rules []Rule) (there bool, err error) {
	err = locked(func(c *firewall.Conn) error {
		repairs, err := choose(backendName, c).repairs(network, rules)
		there = len(repairs) == 0
		return err
	})
	return there, err
}

// Remove removes rules of the network, whichever backend they are in: those of the owners that gone says, and if nobody
// uses the network any more, all. inUse is asked with the lock held.
func Remove(network string, gone func(owner string) bool, inUse func() (bool, error)) error {
	err := locked(func(c *firewall.Conn) error {
		used, err := inUse()
		if err != nil {
			return err
		}
		match := func(comment string) bool {
			text, ours := strings.CutPrefix(comment, prefix(network))
			_, owner, single := strings.Cut(text, " ")
			return ours && (single && gone(owner) || !single && !used)
		}
		return errors.Join(iptables{c}.remove(network, match), nftables{c}.remove(network, match))
	})
	if firewall.Absent(err) {
		return nil
	}
	return err
}

func locked(f func(*firewall.Conn) error) error {
	return firewall.Locked(lockTimeout, func(c *firewall.Conn) error {
		if err := f(c); err != nil {
			return fmt.Errorf("masquerade: %w", err)
		}
		return nil
	})
}
