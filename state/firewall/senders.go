package firewall

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// elements are keys of the sets of senders, by the set's family.
type elements map[netlink.Family][][]byte

// senderKeys are what the sets should have for a host veth.
func senderKeys(veth string, s state.Sender) elements {
	return netfilter.SenderKeys(veth, s.MAC, s.Addrs()...)
}

// heldSenders is what the sets have now.
type heldSenders struct {
	of   map[string]state.Sender // by host veth
	keys map[string]elements     // likewise
}

// readSenders reads the sets. That an element is missing, or one too many, is told as damage.
func (h *Host) readSenders() (heldSenders, error) {
	held := heldSenders{map[string]state.Sender{}, map[string]elements{}}
	for f, set := range netfilter.SenderSets() {
		elements, err := h.nft.Elements(set)
		if err != nil {
			return held, err
		}
		for _, e := range elements {
			s, ok := netfilter.ParseSender(e.Key)
			if !ok {
				continue // a set of another kind has the name, which the next change finds out
			}
			held.add(f, s, e)
		}
	}
	for veth, s := range held.of {
		held.of[veth] = damaged(s, held.keys[veth], senderKeys(veth, s))
	}
	return held, nil
}

// add takes in an element. A time limit makes it none that podnet has made.
func (h *heldSenders) add(f netlink.Family, s netfilter.Sender, e netfilter.Element) {
	if h.keys[s.Device] == nil {
		h.keys[s.Device] = elements{}
	}
	h.keys[s.Device][f] = append(h.keys[s.Device][f], e.Key)
	of := h.of[s.Device]
	if of.MAC == (state.MAC{}) {
		of.MAC = s.MAC
	}
	switch {
	case e.Timed:
		of.Damage = "with a time limit"
	case s.Addr.IsUnspecified() || s.Addr == device.LinkLocal(s.MAC):
	case s.Addr.Is4():
		of.IPv4 = s.Addr
	default:
		of.IPv6 = s.Addr
	}
	h.of[s.Device] = of
}

// damaged returns the sender, with what its sets have too much or too little.
func damaged(s state.Sender, have, want elements) state.Sender {
	missing, foreign := 0, 0
	for f := range netfilter.SenderSets() {
		missing += len(without(want[f], have[f]))
		foreign += len(without(have[f], want[f]))
	}
	if missing > 0 || foreign > 0 {
		s.Damage = fmt.Sprintf("%d missing and %d too many", missing, foreign)
	}
	return s
}

// without returns the keys that are not among others.
func without(keys, others [][]byte) (rest [][]byte) {
	for _, k := range keys {
		if !slices.ContainsFunc(others, func(o []byte) bool { return string(o) == string(k) }) {
			rest = append(rest, k)
		}
	}
	return rest
}

// Senders returns what each pod may send from, by host veth. It reports false if this kernel has no
// rules for bridges, and so judges nobody.
func (h *Host) Senders() (of map[string]state.Sender, judges bool, err error) {
	h.sendersLack = nil
	generation, known := h.Generation()
	if !known {
		return nil, false, nil
	}
	if err := h.readOwn(generation); err != nil {
		return nil, false, err
	}
	return h.own.senders.of, !slices.Contains(h.own.lacks, netfilter.Bridge), nil
}

// ApplySenders carries out what changes of ports say of senders, all at once. While one is not
// carried out, the chain that goes by them is not made: it would keep the pod from everybody.
func (h *Host) ApplySenders(changes []*state.Change) {
	if len(changes) == 0 || h.nft == nil {
		return
	}
	err := h.wakeTable(state.OwnBridgeTable)
	if err == nil {
		err = h.commitSenders(changes)
	}
	if errors.Is(err, unix.ENOENT) { // one has gone by itself since the sets were read
		h.own.known = false
		err = h.commitSenders(changes)
	}
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EINVAL) { // a set of another kind has the name
		if err = h.dropSenders(); err == nil {
			err = h.commitSenders(changes)
		}
	}
	h.sendersLack = err
	for _, c := range changes {
		c.Err = err
	}
}

func (h *Host) commitSenders(changes []*state.Change) error {
	if !h.own.known {
		generation, _ := h.Generation()
		if err := h.readOwn(generation); err != nil {
			return err
		}
	}
	var b netfilter.Batch
	keepSenders(&b)
	for _, c := range changes {
		veth := c.Object().Name()
		have, want := h.own.senders.keys[veth], elements{}
		if port, is := c.Want.(state.Port); is && port.Sender != (state.Sender{}) {
			want = senderKeys(veth, port.Sender)
		}
		// The kernel keeps the time limit of an element that is added again, so that all go first.
		for f, set := range netfilter.SenderSets() {
			b.DeleteKeys(set, have[f])
			b.AddKeys(set, want[f], 0)
		}
	}
	return h.nft.Commit(&b)
}

// withoutSenders takes the chain that judges senders out of the changes, if not all of those that it
// is to let through are known to it.
func (h *Host) withoutSenders(changes []*state.Change) []*state.Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c *state.Change) bool {
		waits := h.sendersLack != nil && c.Op != state.Delete && c.Object().Name() == state.SendersChain
		if waits {
			c.Err = fmt.Errorf("not made while it would keep pods from everybody: %w", h.sendersLack)
		}
		return waits
	})
}

func keepSenders(b *netfilter.Batch) {
	sets := netfilter.SenderSets()
	b.KeepSet(sets[netlink.IPv4], netfilter.SenderKey(netlink.IPv4))
	b.KeepSet(sets[netlink.IPv6], netfilter.SenderKey(netlink.IPv6))
}

// dropSenders deletes the sets of what pods may send from, and the chain that goes by them.
func (h *Host) dropSenders() error {
	var b netfilter.Batch
	chain := netfilter.Chain{Family: netfilter.Bridge, Table: ownTable(), Name: state.SendersChain}
	there, err := h.nft.HasChain(chain)
	if err != nil {
		return err
	}
	if there {
		b.DeleteChain(chain)
	}
	sets, err := h.nft.Sets(netfilter.Bridge, ownTable())
	if err != nil {
		return err
	}
	for _, set := range netfilter.SenderSets() {
		if slices.Contains(sets, set) {
			b.DeleteSet(set)
		}
	}
	return h.nft.Commit(&b)
}
