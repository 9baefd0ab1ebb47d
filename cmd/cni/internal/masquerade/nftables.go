package masquerade

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// nftables has a rule for each address, in a chain of the reference plugin's.
type nftables struct{ conn *netfilter.Conn }

const (
	table = "cni_plugins_masquerade"
	hook  = "postrouting"
)

var checks = netfilter.Chain{Family: netfilter.Inet, Table: table, Name: "masq_checks"}

// skeleton makes what all pods share.
func skeleton(b *netfilter.Batch) {
	post := netfilter.Chain{Family: netfilter.Inet, Table: table, Name: hook}
	b.AddTable(netfilter.Inet, table)
	b.KeepChain(checks)
	b.AddBaseChain(post, netfilter.SNAT)
	for _, f := range []netlink.Family{netlink.IPv4, netlink.IPv6} {
		toMany := new(netfilter.Expressions).Family(f).Destination(multicast(f))
		b.AddRule(post, toMany.Return(), "", "")
	}
	b.AddRule(post, new(netfilter.Expressions).GoTo(checks.Name), "", "")
}

// digest begins the comments of a network's rules, and follows of a pod's.
func digest(text string) string {
	sum := sha512.Sum512([]byte(text))
	return hex.EncodeToString(sum[:])[:16]
}

func digestOf(p Pod) string { return digest(p.Network) + "-" + digest(p.IfName+":"+p.ContainerID) }

// ruleComment returns the comment of a pod's rules, cut where nft would refuse it.
func ruleComment(p Pod) string {
	const limit = 128
	text := fmt.Sprintf("%s, net: %s, if: %s, id: %s",
		digestOf(p), p.Network, p.IfName, p.ContainerID)
	return text[:min(len(text), limit)]
}

func (n nftables) repair(p Pod, addrs []netip.Prefix) (change, error) {
	rules, err := n.conn.Rules(checks)
	if err != nil {
		return nil, err
	}
	post, err := n.conn.Rules(netfilter.Chain{Family: netfilter.Inet, Table: table, Name: hook})
	if err != nil {
		return nil, err
	}
	var batch netfilter.Batch
	if !slices.ContainsFunc(post, func(r netfilter.Rule) bool { return r.Jump == checks.Name }) {
		skeleton(&batch)
	}
	for _, a := range addrs {
		there := func(r netfilter.Rule) bool {
			return strings.HasPrefix(r.Comment, digestOf(p)) && r.Source == single(a)
		}
		if slices.ContainsFunc(rules, there) {
			continue
		}
		x := new(netfilter.Expressions).Family(netlink.FamilyOf(a.Addr())).Source(single(a)).NotDestination(a.Masked())
		batch.AddRule(checks, x.Masquerade(), ruleComment(p), "")
	}
	return n.commit(batch), nil
}

// commit returns a function that sends a batch to the kernel; nil for an empty batch.
func (n nftables) commit(b netfilter.Batch) change {
	if b.Empty() {
		return nil
	}
	return func() error { return n.conn.Commit(&b) }
}

func (n nftables) removal(p Pod, _ func(netip.Addr) (bool, error)) (change, error) {
	return n.remove(func(comment string) bool { return strings.HasPrefix(comment, digestOf(p)) })
}

func (n nftables) garbage(network string, valid protocol.Attachments) (change, error) {
	keep := map[string]bool{}
	for a := range valid {
		keep[digestOf(Pod{network, a.ContainerID, a.IfName})] = true
	}
	return n.remove(func(comment string) bool {
		name, _, _ := strings.Cut(comment, ",")
		return strings.HasPrefix(name, digest(network)+"-") && !keep[name]
	})
}

// remove deletes the rules whose comments match, and the table with the last one.
func (n nftables) remove(match func(comment string) bool) (change, error) {
	rules, err := n.conn.Rules(checks)
	if err != nil {
		return nil, err
	}
	var batch netfilter.Batch
	left := 0
	for _, r := range rules {
		if match(r.Comment) {
			batch.DeleteRule(netfilter.Inet, table, r)
		} else {
			left++
		}
	}
	if left == 0 && !batch.Empty() {
		batch = netfilter.Batch{}
		batch.DeleteTable(netfilter.Inet, table)
	}
	return n.commit(batch), nil
}
