package schema

import (
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v3"
)

// checkDuplicates finds what only one node may have. Derived MACs count: an explicit one may equal
// another's derived one.
func (r *reader) checkDuplicates(entries []entry) {
	names := make(map[string]*entry, len(entries))
	ips := make(map[netip.Addr]address, len(entries))
	macs := make(map[MAC]*entry, len(entries))
	for i := range entries {
		e := &entries[i]
		sameName := e.Name != "" && names[e.Name] != nil
		if first := claim(names, e.Name, e); first != nil {
			r.fault(e.nameAt, e.field("name"),
				fmt.Sprintf("%s is taken by nodes[%d], line %d", e.Name, first.index, first.nameAt.Line), "every node its own name")
		}
		for _, a := range e.addresses() {
			if !a.IsValid() {
				continue
			}
			if first, taken := ips[a.Addr]; taken {
				r.fault(a.at, e.field(a.field), fmt.Sprintf("%s is the %s of %s too, line %d", a, first.field, first.e.title(),
					first.at.Line), "every node its own address")
				continue
			}
			ips[a.Addr] = a
		}
		if sameName && e.macAt == nil {
			continue // derived from the name, which has been said
		}
		if first := claim(macs, e.VTEPMAC, e); first != nil {
			r.duplicateMAC(e, first)
		}
	}
}

// claim gives the entry that has the value already, nil if it is free or none.
func claim[K comparable](taken map[K]*entry, key K, e *entry) *entry {
	var none K
	if key == none {
		return nil
	}
	if first := taken[key]; first != nil {
		return first
	}
	taken[key] = e
	return nil
}

func (r *reader) duplicateMAC(e, first *entry) {
	at, message := e.macAt, fmt.Sprintf("%s is the MAC of %s too, line %d", e.VTEPMAC, first.title(), first.Line)
	if first.macAt == nil {
		message += ", derived from its name"
	}
	if at == nil {
		at, message = e.nameAt, fmt.Sprintf("the derived MAC %s is the vtepMAC of %s too, line %d", e.VTEPMAC, first.title(),
			first.Line)
	}
	r.fault(at, e.field("vtepMAC"), message, "another one, or none for the derived one")
}

// checkRemoved finds nodes that are said to have left.
func (r *reader) checkRemoved(entries []entry, removed []value, names []string) {
	if len(removed) == 0 {
		return
	}
	present := make(map[string]*entry, len(entries))
	for i := range entries {
		present[entries[i].Name] = &entries[i]
	}
	for i, v := range removed {
		if e := present[names[i]]; e != nil {
			r.wrong(v, fmt.Sprintf("%s is in nodes too, line %d", names[i], e.Line), "a node is in one of the two")
		}
	}
}

// checkFamilies wants one underlay family; the one that fewer nodes have is the wrong one.
func (r *reader) checkFamilies(entries []entry) {
	var with [2][]*entry // IPv4, IPv6
	for i := range entries {
		switch ip := entries[i].IP; {
		case ip.Is4():
			with[0] = append(with[0], &entries[i])
		case ip.Is6():
			with[1] = append(with[1], &entries[i])
		}
	}
	few, many := with[1], with[0]
	if len(few) > len(many) || len(few) == len(many) && len(few) > 0 && few[0].index == 0 {
		few, many = many, few
	}
	if len(many) == 0 {
		return
	}
	for i := range entries {
		e := &entries[i]
		if own := e.LocalIP; own.IsValid() && e.IP.IsValid() && own.Is4() != e.IP.Is4() {
			r.fault(e.ownAt, e.field("localIP"), fmt.Sprintf("%s is %s, but the node's ip, %s, is %s", own, family(own), e.IP,
				family(e.IP)), "an address of the same family")
		}
	}
	for _, e := range few {
		r.fault(e.ipAt, e.field("ip"),
			fmt.Sprintf("%s is %s, but %s of %s is %s", e.IP, family(e.IP), many[0].IP, many[0].title(), family(many[0].IP)),
			"underlay addresses of one family for all nodes")
	}
}

// podsPlace is where to point for what an entry's podCIDRs lack.
func (e *entry) podsPlace() *yaml.Node {
	if e.podsAt != nil {
		return e.podsAt
	}
	return e.at
}
