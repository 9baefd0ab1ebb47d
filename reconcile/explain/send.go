package explain

import (
	"context"
	"net/netip"
	"time"

	"github.com/podnet/podnet/state/inspect"
	"github.com/podnet/podnet/state/inspect/probe"
	"github.com/podnet/podnet/state/pods"
)

const (
	echoes   = 3
	patience = time.Second // for an answer
	brief    = 400 * time.Millisecond
)

// Send sends real packets along the way: from the pod if a way into its namespace was found, else
// from the bridge's address; to the gateway of the peer's pods, which always answers, then to the
// destination itself, then as large as pods send.
func Send(ctx context.Context, f *Trace) error {
	f.Probe = &Probe{From: f.From.Addr}
	ns := pods.Namespace{}
	if f.From.Pod != nil {
		ns.Path = f.From.Pod.Namespace
		if ns.Path == "" {
			f.Probe.From = f.gatewayOf(f.From.Addr).Addr()
		}
	}
	pinger, err := open(ctx, ns, f.Probe.From)
	if err != nil {
		f.Probe.Echoes = []Echo{{Name: "nothing sent to", To: f.To.Addr, Err: err}}
		return nil
	}
	defer pinger.Close()
	targets := f.targets()
	watches, counters := f.watch(pinger.ID()), inspect.DropCounters()
	for _, t := range targets {
		f.Probe.Echoes = append(f.Probe.Echoes, ping(pinger, t))
		if f.Probe.Echoes[0].lost() {
			break
		}
	}
	f.seen(watches)
	f.Probe.Dropped = counters.Since()
	if f.Probe.Echoes[0].lost() {
		return f.sendDirect(ctx)
	}
	f.sendFull(pinger, targets[0].To)
	return nil
}

func open(ctx context.Context, ns pods.Namespace, from netip.Addr) (*probe.Pinger, error) {
	var p *probe.Pinger
	err := ns.Do(func() (err error) {
		p, err = probe.Open(ctx, from)
		return err
	})
	return p, err
}

// targets are who is asked, in turn.
func (f *Trace) targets() []Echo {
	self := Echo{Name: "destination", To: f.To.Addr}
	if f.To.Place != Peer {
		return []Echo{self}
	}
	gateway := Echo{Name: f.To.Node.Name + "'s gateway", To: f.To.Prefix().Addr().Next()}
	if f.To.Gateway || f.To.Addr == f.To.Prefix().Addr() { // the network's address is everybody's in IPv6
		return []Echo{gateway}
	}
	return []Echo{gateway, {Name: "pod", To: f.To.Addr}}
}

func ping(p *probe.Pinger, e Echo) Echo {
	shots := make([]probe.Shot, echoes)
	for i := range shots {
		shots[i] = probe.Shot{To: e.To, Size: probe.Small}
	}
	e.Sent = len(shots)
	for _, r := range p.Round(shots, patience) {
		if r.Answered {
			e.Answered++
		}
		if r.Err != nil {
			e.Err = r.Err
		}
	}
	return e
}

// watch looks for the packets on the tunnel and on the underlay; a device that cannot be watched
// tells nothing.
func (f *Trace) watch(id uint16) []*probe.Watch {
	if f.To.Place != Peer {
		return nil
	}
	var watches []*probe.Watch
	for _, index := range []int{f.Tunnel.Index, f.Links[f.Underlay.Device].Index} {
		w, err := probe.Look(index, id, f.Topology.Network.VXLAN.Port)
		if err != nil {
			f.stopWatching(watches)
			return nil
		}
		watches = append(watches, w)
	}
	return watches
}

func (f *Trace) stopWatching(watches []*probe.Watch) (all []probe.Sighting) {
	for _, w := range watches {
		all = append(all, w.Close())
	}
	return all
}

func (f *Trace) seen(watches []*probe.Watch) {
	if s := f.stopWatching(watches); len(s) == 2 {
		f.Probe.Seen = Seen{Watched: true, Entered: s[0].Request, Left: s[1].Request, Returned: s[1].Answer, Bare: s[1].Bare,
			Emerged: s[0].Answer}
	}
}

// sendDirect asks the peer outside of the tunnel.
func (f *Trace) sendDirect(ctx context.Context) error {
	if f.To.Place != Peer || !f.Host().IPLocal {
		return nil
	}
	p, err := probe.Open(ctx, f.Node.IP)
	if err != nil {
		return nil // then nobody knows
	}
	defer p.Close()
	f.Probe.Direct = !ping(p, Echo{To: f.To.Node.IP}).lost()
	return nil
}

// sendFull sends packets as large as pods do, and finds out how large they may be if none comes
// back.
func (f *Trace) sendFull(p *probe.Pinger, to netip.Addr) {
	if f.To.Place != Peer {
		return
	}
	f.Probe.Full = f.MTU
	if pod := f.From.Pod; pod != nil && f.Probe.From == f.From.Addr {
		f.Probe.Full = min(f.MTU, pod.End.MTU)
	}
	shot := probe.Shot{To: to, Size: f.Probe.Full}
	for _, r := range p.Round([]probe.Shot{shot, shot, shot}, patience) {
		if r.Answered {
			return
		}
	}
	f.Probe.FullLost = true
	f.Probe.Fits = p.Fits(to, probe.Small, f.Probe.Full, brief)
}

// SendAll sends one echo request to every target, those of a family at once, and another to those
// that did not answer.
func SendAll(ctx context.Context, ways []*Trace) error {
	by := map[netip.Addr][]*Trace{}
	for _, f := range ways {
		by[f.From.Addr] = append(by[f.From.Addr], f)
	}
	for from, group := range by {
		ns := pods.Namespace{}
		if pod := group[0].From.Pod; pod != nil {
			if ns.Path = pod.Namespace; ns.Path == "" {
				from = group[0].gatewayOf(from).Addr()
			}
		}
		p, err := open(ctx, ns, from)
		if err != nil {
			return err
		}
		sendRounds(p, from, group)
		p.Close() // nothing is to come
	}
	return nil
}

func sendRounds(p *probe.Pinger, from netip.Addr, group []*Trace) {
	for _, f := range group {
		f.Probe = &Probe{From: from, Echoes: []Echo{f.targets()[0]}}
	}
	for range 2 {
		var asked []*Echo
		var shots []probe.Shot
		for _, f := range group {
			if e := &f.Probe.Echoes[0]; e.lost() {
				asked, shots = append(asked, e), append(shots, probe.Shot{To: e.To, Size: probe.Small})
			}
		}
		for i, r := range p.Round(shots, patience) {
			asked[i].Sent++
			asked[i].Err = r.Err
			if r.Answered {
				asked[i].Answered++
			}
		}
	}
}
