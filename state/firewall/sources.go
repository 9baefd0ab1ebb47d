package firewall

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// Grace is how long the tunnel takes packets from an address that the topology does not have any
// more: until the other nodes have the new file too.
const Grace = 10 * time.Minute

// tunnelSet is the set of state.TunnelSet.
func tunnelSet() netfilter.Set {
	return netfilter.Set{Family: netfilter.Inet, Table: ownTable(), Name: state.TunnelSet}
}

// ListSources reports the addresses that the tunnel takes packets from for good. A kernel without
// nftables cannot keep any out, which List reports: it counts as having those that are wanted.
func (h *Host) ListSources(want *state.Set, live *state.Live) error {
	generation, known := h.Generation()
	if !known {
		for s, from := range want.TunnelSources.All() {
			live.TunnelSources.Add(s, from)
		}
		return nil
	}
	if err := h.readOwn(generation); err != nil {
		return err
	}
	for _, a := range h.own.sources {
		live.TunnelSources.Add(state.TunnelSource{Addr: a}, state.OwnNode)
	}
	return nil
}

// ApplySources adds addresses, or deletes those that nobody wants; one that has left the topology goes
// after the grace period. If the tunnel is open to anybody from now on, all go with their set.
func (h *Host) ApplySources(changes []*state.Change) {
	if h.nft == nil || len(changes) == 0 {
		return
	}
	err := h.wakeTable(state.OwnTable)
	if err == nil {
		err = h.commitSources(changes)
	}
	switch {
	case errors.Is(err, unix.ENOENT): // an address has gone by itself since the set was read
		h.own.known = false
		err = h.commitSources(changes)
	case errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EINVAL): // a set of another kind has the name
		if err = h.dropTunnel(); err == nil {
			err = h.commitSources(changes)
		}
	}
	for _, c := range changes {
		c.Err = err
	}
	if changes[0].Op == state.Delete {
		h.removeEmptyTable(state.OwnTable)
	}
}

func (h *Host) commitSources(changes []*state.Change) error {
	if !h.own.known {
		generation, _ := h.Generation()
		if err := h.readOwn(generation); err != nil {
			return err
		}
	}
	// The kernel keeps the time limit of an address that is added again, so that one with a limit has
	// to be deleted first.
	var all, left, there []netip.Addr
	for _, c := range changes {
		a := c.Object().(state.TunnelSource).Addr
		all = append(all, a)
		if c.Left {
			left = append(left, a)
		}
		if h.own.expiring[a] || c.Op == state.Delete && slices.Contains(h.own.sources, a) {
			there = append(there, a)
		}
	}
	var b netfilter.Batch
	if changes[0].Op != state.Delete {
		b.KeepSet(tunnelSet(), netfilter.AddrKey(netlink.FamilyOf(all[0])))
		b.DeleteKeys(tunnelSet(), netfilter.AddrKeys(there))
		b.AddKeys(tunnelSet(), netfilter.AddrKeys(all), 0)
		return h.nft.Commit(&b)
	}
	if guarded, err := h.nft.HasChain(ownChainNamed(state.TunnelChain)); err != nil || !guarded {
		return errors.Join(err, h.dropTunnel())
	}
	b.DeleteKeys(tunnelSet(), netfilter.AddrKeys(there))
	b.AddKeys(tunnelSet(), netfilter.AddrKeys(left), h.grace())
	return h.nft.Commit(&b)
}

// grace is how long an address stays that has left. During a trial, which may bring it back, its time
// does not run out.
func (h *Host) grace() time.Duration { return Grace + h.Trial }

// dropTunnel deletes the set of the tunnel's sources, with the chains that go by it.
func (h *Host) dropTunnel() error {
	var b netfilter.Batch
	for _, name := range []string{state.TunnelChain, state.TunnelPodsChain} {
		switch there, err := h.nft.HasChain(ownChainNamed(name)); {
		case err != nil:
			return err
		case there:
			b.DeleteChain(ownChainNamed(name))
		}
	}
	b.DeleteSet(tunnelSet())
	if err := h.nft.Commit(&b); !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

func ownChainNamed(name string) netfilter.Chain {
	return netfilter.Chain{Family: netfilter.Inet, Table: ownTable(), Name: name}
}
