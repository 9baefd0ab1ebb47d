package explain

import (
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

// Arrive finds out by which device packets of somebody outside come in: the one by which this host
// answers.
func (f *Trace) Arrive(n *kernel.Node) error {
	if !f.From.Outside {
		return nil
	}
	back, err := n.Routings([]kernel.Packet{{Dst: f.From.Addr}})
	if err == nil {
		f.Arrival = back[0]
	}
	return err
}

// Translate has the packet go where rules of this host send it instead of its destination: host
// ports and services are addresses that packets leave behind before they are routed. Without a port
// there is nothing to go by.
func (f *Trace) Translate() {
	if f.To.Port == 0 {
		return
	}
	hook := verdict.Prerouting
	if f.in() == "" {
		hook = verdict.Output
	}
	here := f.own(f.To.Addr)
	for _, f.Protocol = range []string{"udp", "tcp"} { // tcp stays if neither is translated
		p := verdict.Packet{Src: f.From.Addr, Dst: f.To.Addr, In: f.in(), Protocol: f.Protocol, Port: f.To.Port, ToHost: here,
			ToOther: !here}
		for _, rules := range f.Firewall[f.To.Addr.Is4()] {
			if t, found := rules.Translate(hook, p); found {
				f.translated(t)
				return
			}
		}
	}
}

func (f *Trace) translated(t verdict.Translation) {
	port := f.To.Port
	f.Asked, f.By = netip.AddrPortFrom(f.To.Addr, port), t.Where
	if t.To.Port() != 0 {
		port = t.To.Port()
	}
	f.To = f.Site.place(t.To.Addr())
	f.To.Port = port
}

// asked is the destination as it was asked for.
func (f *Trace) asked() string {
	switch {
	case f.Asked.IsValid():
		return f.Asked.String()
	case f.To.Port != 0:
		return netip.AddrPortFrom(f.To.Addr, f.To.Port).String()
	}
	return f.To.Addr.String()
}

// arrivalHop is where packets from outside come in.
func (f *Trace) arrivalHop() hop {
	r := f.Arrival
	h := newHop("arrival", fmt.Sprintf("by %s, as far as it is answered there", r.Device))
	if r.Err != nil {
		h.Detail = r.String()
		return h.advise("a route back",
			fmt.Sprintf("this host has no route to %s, so that it does not answer (%v)", f.From.Addr, r.Err),
			"add a route to it")
	}
	return h
}

// translationHops say which rule gives the packet another destination, and of an address without a
// port that there are some.
func (f *Trace) translationHops() []hop {
	h := hop{Hop: document.Hop{Kind: "nat"}}
	switch {
	case f.Asked.IsValid():
		h.Detail = fmt.Sprintf("%s/%s becomes %s by %s", f.Asked, f.Protocol, netip.AddrPortFrom(f.To.Addr, f.To.Port), f.By)
		return []hop{h}
	case f.service():
		h.Detail = fmt.Sprintf("rules of nat give %s another destination, by its ports: ask for %s:PORT", f.To.Addr,
			f.To.Addr)
		return []hop{h}
	case f.To.Port == 0 || f.To.Place != Self:
		return nil
	case kernel.HasListener(f.Protocol, f.To.Port):
		h.Detail = fmt.Sprintf("a process of this host has %s/%d", f.Protocol, f.To.Port)
		return []hop{h}
	}
	h.Detail = fmt.Sprintf("nothing has %s/%d on %s", f.Protocol, f.To.Port, f.To.Addr)
	h = h.advise("a host port",
		fmt.Sprintf("no rule that explain reads gives port %d of %s to a pod, and no process of this host listens there",
			f.To.Port, f.To.Addr),
		"the pod was started without that host port, or its rules were taken away: have the runtime make the pod anew")
	h.look = []string{fmt.Sprintf("nft list ruleset | grep -w %d", f.To.Port)}
	return []hop{h}
}

// service reports whether rules for the destination alone may give it another one: kube-proxy has
// them for addresses that nobody has.
func (f *Trace) service() bool {
	if f.To.Place != Outside || f.To.Port != 0 {
		return false
	}
	chain := "PREROUTING"
	if f.in() == "" {
		chain = "OUTPUT"
	}
	for _, rules := range f.Firewall[f.To.Addr.Is4()] {
		for p := range rules.Mentions("nat", chain, "") {
			if p.IsSingleIP() && p.Addr() == f.To.Addr {
				return true
			}
		}
	}
	return false
}
