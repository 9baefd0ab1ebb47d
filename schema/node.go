package schema

import (
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v3"
)

// entry is a node of the file and where it says what, for the checks between nodes. What has a
// fault of its own is left out of them: its field is the zero value.
type entry struct {
	Node
	index  int
	at     *yaml.Node // the entry
	nameAt *yaml.Node
	ipAt   *yaml.Node
	ownAt  *yaml.Node // of localIP
	macAt  *yaml.Node // nil: derived
	pods   []podRange // of the file, in its order
	podsAt *yaml.Node // nil: no such field
	broken bool       // it has faults of its own: what it lacks may only be misspelt
}

type podRange struct {
	prefix netip.Prefix
	index  int
	at     *yaml.Node
}

// field is the path of one of the entry's fields.
func (e *entry) field(name string) string { return fmt.Sprintf("nodes[%d].%s", e.index, name) }

func (p podRange) field(e *entry) string {
	return fmt.Sprintf("nodes[%d].podCIDRs[%d]", e.index, p.index)
}

// title is what other faults call the entry.
func (e *entry) title() string {
	if e.Name == "" {
		return fmt.Sprintf("nodes[%d]", e.index)
	}
	return e.Name
}

func (r *reader) readNodes(o *object, cluster string) []entry {
	v, ok := r.need(o, "nodes", "a list with an entry for each node")
	if !ok {
		return nil
	}
	if isNull(v.n) {
		r.wrong(v, "holds no node", "an entry for each node: - name: node-a")
		return nil
	}
	elements, ok := r.list(v)
	if ok && len(elements) == 0 {
		r.wrong(v, "holds no node", "an entry for each node: - name: node-a")
	}
	r.nodes = len(elements)
	fields := fieldsOf[fileNode]()
	entries := make([]entry, len(elements))
	for i, n := range elements {
		entries[i] = entry{index: i, at: n, Node: Node{Line: n.Line}}
		before := len(r.faults) + r.omitted
		r.node(value{n, v.p.element(i)}, fields, cluster, &entries[i])
		entries[i].broken = len(r.faults)+r.omitted > before
	}
	return entries
}

func (r *reader) node(v value, fields []string, cluster string, e *entry) {
	o, ok := r.object(v, fields)
	if !ok {
		return
	}
	if v, ok := r.need(&o, "name", "the node's name"); ok {
		e.Name, e.nameAt = r.subdomain(v), v.n
	}
	if v, ok := r.need(&o, "ip", "the node's underlay address"); ok {
		e.IP, e.ipAt = r.address(v), v.n
	}
	if v, ok := o.get("localIP"); ok && !isEmptyText(v.n) {
		e.LocalIP, e.ownAt = r.address(v), v.n
	}
	if v, ok := o.get("podCIDRs"); ok {
		r.podCIDRs(v, e)
	}
	e.VTEPMAC = r.vtepMAC(&o, cluster, e)
}

func (r *reader) vtepMAC(o *object, cluster string, e *entry) MAC {
	if v, ok := o.get("vtepMAC"); ok && !isEmptyText(v.n) {
		e.macAt = v.n
		return r.mac(v)
	}
	if cluster == "" || e.Name == "" {
		return MAC{}
	}
	return DeriveVTEPMAC(cluster, e.Name)
}

// isEmptyText says that a value is "", which is as good as none.
func isEmptyText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Value == "" && isQuoted(n) }

// address is one of an entry's underlay addresses: its field, and where the file has it.
type address struct {
	netip.Addr
	e     *entry
	field string
	at    *yaml.Node
}

// addresses are the entry's underlay addresses; one that it does not have is not valid.
func (e *entry) addresses() [2]address {
	return [...]address{{e.IP, e, "ip", e.ipAt}, {e.LocalIP, e, "localIP", e.ownAt}}
}

func (r *reader) podCIDRs(v value, e *entry) {
	e.podsAt = v.n
	elements, _ := r.list(v)
	seen := map[bool]netip.Prefix{}
	for i, n := range elements {
		element := value{n, v.p.element(i)}
		p, ok := r.podCIDR(element)
		if !ok {
			continue
		}
		is4 := p.Addr().Is4()
		if first, twice := seen[is4]; twice {
			r.wrong(element, p.String()+" is a second "+family(p.Addr())+" range, after "+first.String(),
				"one of each family at most")
			continue
		}
		seen[is4] = p
		e.pods = append(e.pods, podRange{p, i, n})
	}
	for _, pod := range e.pods {
		e.PodCIDRs = append(e.PodCIDRs, pod.prefix)
	}
	if len(e.PodCIDRs) == 2 && e.PodCIDRs[0].Addr().Is6() {
		e.PodCIDRs[0], e.PodCIDRs[1] = e.PodCIDRs[1], e.PodCIDRs[0]
	}
}

func (r *reader) podCIDR(v value) (netip.Prefix, bool) {
	p, ok := r.hostPrefix(v)
	if !ok {
		return p, false
	}
	smallest := smallestIPv4
	if p.Addr().Is6() {
		smallest = smallestIPv6
	}
	if p.Bits() > smallest {
		r.wrong(v, p.String()+" is too small for a gateway and a pod", fmt.Sprintf("/%d at most", smallest))
	}
	return p, true
}
