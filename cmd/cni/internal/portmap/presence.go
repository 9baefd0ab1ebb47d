package portmap

import (
	"slices"

	"github.com/podnet/podnet/state/presence"
)

// living tells which owners' pods are there. It looks when it is asked first.
type living struct{ view *presence.View }

func (l *living) close() {
	if l.view != nil {
		l.view.Close()
	}
}

// has reports whether the pod is there that mappings of an owner lead to, or may be.
func (l *living) has(o owner, maps []mapping) (bool, error) {
	if l.view == nil {
		view, err := presence.Read()
		if err != nil {
			return true, err
		}
		l.view = view
	}
	p := presence.Pod{}
	if o.complete() {
		p = presence.Pod{Network: o.network, ContainerID: o.container, IfName: o.ifname}
	}
	for _, m := range maps {
		if a := m.pod.Addr(); a.IsValid() && !slices.Contains(p.Addrs, a) {
			p.Addrs = append(p.Addrs, a)
		}
	}
	return l.view.Has(p)
}

// inherits reports whether the attachment has been given an address that the mappings of another
// container lead to: that one's pod has gone.
func (a *attachment) inherits(o owner, maps []mapping) bool {
	if o.short().container == a.owner.short().container {
		return false
	}
	return slices.ContainsFunc(a.forwards, func(f forward) bool {
		return slices.ContainsFunc(maps, func(m mapping) bool {
			return m.pod.Addr() == f.pod.Addr()
		})
	})
}
