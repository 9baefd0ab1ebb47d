package masquerade

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
)

// nftables has a table of its own for each network, with one rule for each source.
type nftables struct{ conn *firewall.Conn }

func table(network string) string {
	sum := sha256.Sum256([]byte(network))
	return "cni-masq-" + hex.EncodeToString(sum[:])[:16]
}

func rulesChain(network string) firewall.Chain {
	return firewall.Chain{Family: firewall.Inet, Table: table(network), Name: "postrouting"}
}

func (n nftables) repairs(network string, rules []Rule) ([]repair, error) {
	have, err := n.conn.Rules(rulesChain(network))
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool {
		return slices.ContainsFunc(have, func(h firewall.Rule) bool { return h.Comment == r.comment(network) })
	})
	if len(missing) == 0 {
		return nil, nil
	}
	return []repair{func() error { return firewall.Script(script(network, missing)) }}, nil
}

func script(network string, missing []Rule) string {
	var b strings.Builder
	name := table(network)
	fmt.Fprintf(&b, "add table inet %s\nadd chain inet %s postrouting { type nat hook postrouting priority srcnat; }\n", name, name)
	for _, r := range missing {
		ip := "ip"
		if r.Source.Addr().Is6() {
			ip = "ip6"
		}
		fmt.Fprintf(&b, "add rule inet %s postrouting %s saddr %s %s daddr != { %s, %s } masquerade comment %q\n",
			name, ip, r.Source, ip, r.Within, multicast(r.Within), r.comment(network))
	}
	return b.String()
}

func (n nftables) remove(network string, match func(string) bool) error {
	rules, err := n.conn.Rules(rulesChain(network))
	if err != nil {
		return err
	}
	var b firewall.Batch
	for _, r := range rules {
		if match(r.Comment) {
			b.DeleteRule(firewall.Inet, table(network), r)
		}
	}
	if left := slices.ContainsFunc(rules, func(r firewall.Rule) bool { return !match(r.Comment) }); !left && len(rules) > 0 {
		b = firewall.Batch{}
		b.DeleteTable(firewall.Inet, table(network))
	}
	return n.conn.Commit(&b)
}
