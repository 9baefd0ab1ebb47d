package portmap

import (
	"github.com/podnet/podnet/state/netfilter"
)

// formerTable is where earlier versions had their mappings in nftables, as elements of maps and
// sets whose comments are the owners. Pods of theirs may outlive an upgrade.
const formerTable = "podnet_portmap"

// former adds elements to what a batch deletes, and the table with the last one.
func (n *nftables) former(b *netfilter.Batch, w whose) error {
	there, err := n.conn.HasTable(netfilter.Inet, formerTable)
	if err != nil || !there {
		return err
	}
	sets, err := n.conn.Sets(netfilter.Inet, formerTable)
	if err != nil {
		return err
	}
	var dead netfilter.Batch
	left := 0
	for _, set := range sets {
		elements, err := n.conn.Elements(set)
		if err != nil {
			return err
		}
		for _, e := range elements {
			o, ok := parseOwner(e.Comment)
			if ok && (w.match == nil && w.owner.names(o) || w.match != nil && w.match(o, nil)) {
				dead.DeleteElement(set, e)
			} else if e.Comment != "" { // and not one of a rule's own set
				left++
			}
		}
	}
	if left == 0 {
		dead = netfilter.Batch{}
		dead.DeleteTable(netfilter.Inet, formerTable)
	}
	b.Join(&dead)
	return nil
}
