// Package portmap is the plugin that forwards ports of the host to a pod, IPv4 and IPv6 alike, with iptables or nftables. It
// reads the rules in force without executing anything, and writes all that a pod needs in one transaction, for iptables one a
// family.
//
// Every rule names its attachment. So a host port that another one has is refused with that one's name, and DEL and GC need
// neither the namespace nor the addresses nor the configuration that the ADD had.
package portmap

import (
	"errors"
	"fmt"
	"time"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// lockTimeout is how long a call waits for others, each of which takes milliseconds.
const lockTimeout = 30 * time.Second

// Verbs is the plugin.
func Verbs() protocol.Verbs {
	return protocol.Verbs{Add: add, Del: del, Check: check, Status: status, GC: gc}
}

// withBackends calls f with the rules that nobody else of podnet's changes meanwhile.
func withBackends(f func(*backends) error) error {
	err := firewall.Locked(lockTimeout, func(conn *firewall.Conn) error { return f(newBackends(conn)) })
	if errors.Is(err, firewall.ErrLocked) {
		return protocol.Errorf(protocol.CodeTryLater, "%w", err)
	}
	return err
}

// add puts the mappings in force and hands the result on. What an interrupted ADD of the same attachment left is replaced.
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
		err := b.named(name).add(a)
		if err == nil {
			err = b.settle(a)
		}
		if err != nil {
			_, undone := b.remove(a.owner.names, a.owner)
			return errors.Join(err, undone)
		}
		return nil
	})
	return result, err
}

// makeWay refuses host ports that others have, and removes what is this attachment's own.
func (b *backends) makeWay(a *attachment) error {
	held, err := b.holdings()
	if err != nil {
		return err
	}
	mine := false
	for _, h := range held {
		if a.owner.names(h.owner) {
			mine = true
		} else if f := a.conflict(h); f != nil {
			return protocol.Errorf(protocol.CodeConflict, "host port %d/%s is taken: %s (network/container/interface) has %s, and %s was asked for; "+
				"choose another port or hostIP, or remove that container", h.host.Port(), h.protocol, h.owner, h.host, f.host)
		}
	}
	if mine {
		_, err = b.remove(a.owner.names, a.owner)
	}
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

// settle does what rules alone do not: connections from the host's loopback addresses are let out, and what the kernel
// remembers of the ports is forgotten.
func (b *backends) settle(a *attachment) error {
	if err := allowLocalnet(a.family(false)); err != nil {
		return err
	}
	var maps []mapping
	for _, f := range a.forwards {
		maps = append(maps, f.mapping)
	}
	return forget(b.conn, maps)
}

// del removes all that is the attachment's. The configuration does not matter.
func del(req *protocol.Request) error {
	o := ownerOf(req)
	return withBackends(func(b *backends) error { return b.clean(o.names, o) })
}

// clean removes what match says yes to, and what the kernel remembers of its ports.
func (b *backends) clean(match func(owner) bool, known ...owner) error {
	removed, err := b.remove(match, known...)
	return errors.Join(err, forget(b.conn, removed))
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
	return withBackends(func(b *backends) error {
		missing, err := b.named(name).check(a)
		if err == nil && missing == "" {
			missing, err = checkLocalnet(a.family(false))
		}
		if err == nil && missing != "" {
			err = protocol.Errorf(protocol.CodeChanged, "%s: %s is not as the ADD left it; a new ADD puts it back", name, missing)
		}
		return err
	})
}

// status is whether the configuration is one to ADD by. That no backend is installed fails it only if one is asked for: pods
// without mappings need none, and they are most.
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
	for a := range list {
		valid[newOwner(req.Network, a.ContainerID, a.IfName)] = true
		valid[newOwner(req.Network, a.ContainerID, "")] = true // as the reference plugin names it
	}
	network := newOwner(req.Network, "", "").network
	err = withBackends(func(b *backends) error {
		return b.clean(func(o owner) bool { return o.network == network && !valid[o] })
	})
	if err != nil {
		return fmt.Errorf("port mappings of network %s: %w", req.Network, err)
	}
	return nil
}
