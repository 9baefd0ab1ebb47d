package portmap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
)

// nftables is the backend whose mappings are elements. nft is executed only for the skeleton, when that is not there.
type nftables struct{ conn *firewall.Conn }

// stored is an element and where it is.
type stored struct {
	set firewall.Set
	firewall.Element
}

// stored are all elements, of every scope.
func (n *nftables) stored() ([]stored, error) {
	sets, err := n.conn.Sets(firewall.Inet, table)
	if err != nil {
		return nil, err
	}
	var all []stored
	for _, s := range sets {
		if !strings.HasPrefix(s.Name, "dnat") && !strings.HasPrefix(s.Name, "masq") {
			continue
		}
		elements, err := n.conn.Elements(s)
		if err != nil {
			return nil, err
		}
		for _, e := range elements {
			all = append(all, stored{s, e})
		}
	}
	return all, nil
}

func (n *nftables) holdings() ([]holding, error) {
	all, err := n.stored()
	var held []holding
	for _, e := range all {
		if m, ok := e.mapping(); ok {
			o, _ := parseOwner(e.Comment) // somebody else's element is in the way too
			held = append(held, holding{o, m})
		}
	}
	return held, err
}

func (n *nftables) add(a *attachment) error {
	s := scopeOf(a.settings)
	rules, err := n.conn.Rules(firewall.Chain{Family: firewall.Inet, Table: table})
	if err != nil {
		return err
	}
	if s.lacks(rules) != "" {
		if err := firewall.Script(s.script); err != nil {
			return err
		}
	}
	var batch firewall.Batch
	for _, e := range elements(a) {
		batch.AddElement(e.set, e.Element)
	}
	return n.conn.Commit(&batch)
}

func (n *nftables) check(a *attachment) (string, error) {
	rules, err := n.conn.Rules(firewall.Chain{Family: firewall.Inet, Table: table})
	if err != nil {
		return "", err
	}
	if missing := scopeOf(a.settings).lacks(rules); missing != "" {
		return missing, nil
	}
	all, err := n.stored()
	if err != nil {
		return "", err
	}
	mine := slices.DeleteFunc(all, func(e stored) bool { return e.Comment != a.owner.String() })
	want := elements(a)
	for _, e := range want {
		if !slices.ContainsFunc(mine, e.equal) {
			return fmt.Sprintf("an element of %s", e.set.Name), nil
		}
	}
	if len(mine) != len(want) {
		return "the number of elements", nil
	}
	return "", nil
}

// remove deletes elements, and the table with the last one. What the reference plugin has for a known container goes too: its
// rules have the container's name, and nothing else, as their comment.
func (n *nftables) remove(match func(owner) bool, known ...owner) ([]mapping, error) {
	all, err := n.stored()
	if err != nil {
		return nil, err
	}
	var batch firewall.Batch
	var gone []mapping
	left := 0
	for _, e := range all {
		if o, ok := parseOwner(e.Comment); !ok || !match(o) {
			left++
			continue
		}
		batch.DeleteElement(e.set, e.Element)
		if m, ok := e.mapping(); ok && m.pod.IsValid() {
			gone = append(gone, m)
		}
	}
	if left == 0 {
		there, err := n.conn.HasTable(firewall.Inet, table) // whatever is left in it: an ADD may have been killed, or rules flushed
		if err != nil {
			return nil, err
		}
		batch = firewall.Batch{}
		if there {
			batch.DeleteTable(firewall.Inet, table)
		}
	}
	if err := n.removeReference(&batch, known); err != nil {
		return nil, err
	}
	return gone, n.conn.Commit(&batch)
}

const referenceTable = "cni_hostport"

func (n *nftables) removeReference(batch *firewall.Batch, known []owner) error {
	if len(known) == 0 {
		return nil
	}
	for _, family := range []firewall.Family{firewall.IPv4, firewall.IPv6} {
		rules, err := n.conn.Rules(firewall.Chain{Family: family, Table: referenceTable})
		if err != nil {
			return err
		}
		for _, r := range rules {
			if slices.ContainsFunc(known, func(o owner) bool { return r.Comment != "" && r.Comment == o.container }) {
				batch.DeleteRule(family, referenceTable, r)
			}
		}
	}
	return nil
}

// elements are an attachment's.
func elements(a *attachment) []stored {
	suffix, comment := scopeOf(a.settings).suffix, a.owner.String()
	var all []stored
	for _, f := range a.forwards {
		number := "4"
		if f.ipv6() {
			number = "6"
		}
		first, last := f.host.Addr(), f.host.Addr()
		if f.wild() {
			last = lastOf(netip.PrefixFrom(first, 0))
		}
		service := append(padded([]byte{protocols[f.protocol]}), port(f.host)...)
		key, end := append(first.AsSlice(), service...), append(last.AsSlice(), service...)
		set := func(kind string) firewall.Set {
			return firewall.Set{Family: firewall.Inet, Table: table, Name: kind + number + suffix}
		}
		all = append(all, stored{set("dnat"), firewall.Element{Key: key, End: end, Data: append(f.pod.Addr().AsSlice(), port(f.pod)...), Comment: comment}})
		for _, source := range f.sources {
			from, to := append(source.Masked().Addr().AsSlice(), key...), append(lastOf(source).AsSlice(), end...)
			all = append(all, stored{set("masq"), firewall.Element{Key: from, End: to, Comment: comment}})
		}
	}
	return all
}

// mapping is what an element says. One of masq4 or masq6, which keeps others from the port even where that of dnat4 or
// dnat6 is lost, does not say which pod's port it is.
func (e stored) mapping() (mapping, bool) {
	key := e.Key
	isMap := strings.HasPrefix(e.set.Name, "dnat")
	if !isMap && len(key) > 8 {
		key = key[(len(key)-8)/2:] // behind the source
	}
	size := len(key) - 8
	if size < 4 || isMap && len(e.Data) != size+4 {
		return mapping{}, false
	}
	host, ok := addrPort(key[:size], key[size+4:])
	var pod netip.AddrPort
	if isMap {
		pod, _ = addrPort(e.Data[:size], e.Data[size:])
	}
	for name, number := range protocols {
		if number == key[size] {
			return mapping{name, host, pod}, ok && isMap == pod.IsValid()
		}
	}
	return mapping{}, false
}

func (e stored) equal(o stored) bool {
	return e.set == o.set && bytes.Equal(e.Key, o.Key) && bytes.Equal(e.End, o.End) && bytes.Equal(e.Data, o.Data)
}

func addrPort(addr, port []byte) (netip.AddrPort, bool) {
	a, ok := netip.AddrFromSlice(addr)
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(port)), ok
}

func padded(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }

func port(p netip.AddrPort) []byte { return padded(binary.BigEndian.AppendUint16(nil, p.Port())) }

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
