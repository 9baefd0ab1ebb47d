package portmap

import (
	"errors"
	"fmt"
	"time"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netfilter"
)

// lockTimeout is how long a call waits for others, each of which takes milliseconds.
const lockTimeout = 30 * time.Second

// Verbs returns what the plugin does.
func Verbs() protocol.Verbs {
	return protocol.Verbs{Add: add, Del: del, Check: check, Status: status, GC: gc}
}

// withBackends calls f with the rules that nobody else of podnet's changes meanwhile.
func withBackends(f func(*backends) error) error {
	err := netfilter.Locked(lockTimeout, func(conn *netfilter.Conn) error {
		return f(newBackends(conn))
	})
	switch {
	case errors.Is(err, netfilter.ErrLocked):
		return protocol.Errorf(protocol.CodeTryLater, "%w", err)
	case netfilter.Absent(err):
		return protocol.Errorf(protocol.CodeUnsupported,
			"port mappings need the kernel's nfnetlink (modprobe nf_tables loads it): %w", err)
	}
	return err
}

// look calls f with the rules as they are. A kernel without nfnetlink has none.
func look(f func(*backends) error) error {
	conn, err := netfilter.Dial()
	if netfilter.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(newBackends(conn))
}

// add puts the mappings in force and hands the result on. What an interrupted ADD of the same
// attachment left is replaced.
func add(req *protocol.Request) (*current.Result, error) {
	c, err := decode(req)
	if err != nil {
		return nil, err
	}
	a, result, err := c.attachment(req)
	if err != nil {
		return nil, err
	}
	name, err := c.backend()
	if err != nil || len(a.forwards) == 0 {
		return result, err
	}
	if name, err = installed(name); err != nil {
		return nil, err
	}
	err = withBackends(func(b *backends) error {
		if err := b.makeWay(a); err != nil {
			return err
		}
		if err := c.records.write(recordOf(c, name, a)); err != nil {
			return err
		}
		err := b.put(name, a)
		if err != nil {
			_, undone := b.remove(whose{owner: a.owner})
			return errors.Join(err, undone, c.records.remove(a.owner))
		}
		return nil
	})
	return result, err
}

// put puts mappings in force for which there is room.
func (b *backends) put(name string, a *attachment) error {
	if err := b.named(name).add(a); err != nil {
		return err
	}
	return b.settle(a)
}

// makeWay refuses host ports that others have, and removes what pods have left that are gone, and
// what is this attachment's own. What else the same container has is not in the way: another
// network leads to it too, by the first of the rules that are there.
func (b *backends) makeWay(a *attachment) error {
	held, err := b.holdings(a.ports())
	if err != nil {
		return err
	}
	var pods living
	defer pods.close()
	for _, h := range held {
		f := a.conflict(h)
		if f == nil || a.owner.names(h.owner) {
			continue
		}
		alive, maps := false, mappingsOf(held, h.owner)
		if !a.inherits(h.owner, maps) {
			if alive, err = pods.has(h.owner, maps); err != nil {
				return err
			}
		}
		if !alive {
			if _, err := b.remove(whose{owner: h.owner}); err != nil {
				return err
			}
		} else if h.owner.short().container != a.owner.short().container {
			return conflictOf(h, f)
		}
	}
	_, err = b.remove(whose{owner: a.owner})
	return err
}

// conflict returns the forward that a mapping of somebody else is in the way of.
func (a *attachment) conflict(h holding) *forward {
	for i := range a.forwards {
		if a.forwards[i].overlaps(h.mapping) {
			return &a.forwards[i]
		}
	}
	return nil
}

// settle does what rules alone do not: connections from the host's loopback addresses are let out,
// and what the kernel remembers of the ports is forgotten.
func (b *backends) settle(a *attachment) error {
	if err := allowLocalnet(a.family(false)); err != nil {
		return err
	}
	return forget(b.conn, a.mappings())
}

// del removes all that is the attachment's. The configuration does not matter.
func del(req *protocol.Request) error {
	o := ownerOf(req)
	dir := recordsOf(req)
	if there, err := dir.has(o); err != nil || !there {
		_, cleaned := clean(whose{owner: o})
		return errors.Join(err, cleaned)
	}
	return withdraw(dir, o)
}

// clean removes what there is of somebody, and returns which mappings there were. Whoever has
// nothing waits for nobody.
func clean(w whose) (gone []mapping, err error) {
	there, err := netfilter.Find(func(c *netfilter.Conn) (bool, error) {
		r, err := newBackends(c).removal(w)
		return err == nil && !r.empty(), err
	})
	if err != nil || !there {
		return nil, err
	}
	err = withBackends(func(b *backends) error {
		gone, err = b.remove(w)
		return err
	})
	return gone, err
}

// check compares what is in force with what an ADD would put in force.
func check(req *protocol.Request) error {
	c, err := decode(req)
	if err != nil {
		return err
	}
	a, _, err := c.attachment(req)
	if err != nil {
		return err
	}
	name, err := c.backend()
	if err != nil || len(a.forwards) == 0 {
		return err
	}
	if name, err = installed(name); err != nil {
		return err
	}
	return look(func(b *backends) error {
		missing, err := b.named(name).check(a)
		if err == nil && missing == "" {
			missing, err = checkLocalnet(a.family(false))
		}
		if err == nil && missing != "" {
			err = protocol.Errorf(protocol.CodeChanged,
				"%s: %s is not as the ADD left it; a new ADD puts it back", name, missing)
		}
		return err
	})
}

// status returns why an ADD with the configuration would fail. A backend that is not installed is
// a fault only if one is asked for: most pods have no mappings and need none.
func status(req *protocol.Request) error {
	c, err := decode(req)
	if err != nil {
		return err
	}
	name, err := c.backend()
	if err != nil || name == "" {
		return err
	}
	if _, err := installed(name); err != nil {
		return protocol.Errorf(protocol.CodeNotReady, "%w", err)
	}
	return nil
}

// gc removes what belongs to attachments of this network that the runtime does not name.
func gc(req *protocol.Request) error {
	list, told, err := req.ValidAttachments()
	if err != nil || !told {
		return err
	}
	valid := map[owner]bool{}
	containers := map[string]bool{}
	for a := range list {
		o := owner{req.Network, a.ContainerID, a.IfName}.short()
		// The reference plugin names no interface.
		valid[o], valid[owner{o.network, o.container, ""}] = true, true
		containers[o.container] = true
	}
	network := owner{network: req.Network}.short().network
	var pods living
	defer pods.close()
	var failed error
	_, err = clean(whose{match: func(o owner, maps []mapping) bool {
		switch o = o.short(); {
		case o.network == network:
			return !valid[o]
		case o.network != "" || containers[o.container]:
			return false
		}
		alive, err := pods.has(o, maps) // the reference plugin's rules of nftables name no network
		failed = errors.Join(failed, err)
		return !alive
	}})
	err = errors.Join(err, failed, forgotten(recordsOf(req), func(o owner) (bool, error) {
		return o.network == req.Network && !valid[o.short()], nil
	}))
	if err != nil {
		return fmt.Errorf("port mappings of network %s: %w", req.Network, err)
	}
	return nil
}
