package pods

import (
	"cmp"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/kernel"
)

// Pod is one attachment to podnet's network on this node, as far as its lease and its host veth
// tell.
type Pod struct {
	Owner    ipam.Owner // zero: a port of the bridge that no lease belongs to
	Name     string     // as the runtime calls it, such as default/web; "": it did not say
	Addrs    []netip.Addr
	Leased   bool
	Unleased []netip.Addr // what a pod with a lease has besides, wherever it comes from
	Ours     bool         // podnet's plugins wrote the lease
	Veth     kernel.HostVeth
	Since    time.Time // when its lease was made; zero: it has none
}

// List joins the leases of a network with the host veths, in the order of the addresses. It takes
// no lock, so a pod that comes or goes at this moment may be half there, or not at all.
func List(n *kernel.Node, network, bridge string) ([]Pod, error) {
	store, err := ipam.Open(filepath.Join(n.Paths.IPAMDataDir, network))
	if err != nil {
		return nil, err
	}
	l := newPodList(n, network, store)
	if err := l.leases(); err != nil {
		return nil, err
	}
	veths, err := n.HostVeths(bridge)
	if err != nil {
		return nil, err
	}
	for _, v := range veths {
		if err := l.veth(v); err != nil {
			return nil, err
		}
	}
	return l.sorted(), nil
}

type podList struct {
	node    *kernel.Node
	network string
	store   *ipam.Store
	pods    []*Pod
	byOwner map[ipam.Owner]*Pod
	byVeth  map[string]*Pod
	byAddr  map[netip.Addr]*Pod
}

func newPodList(n *kernel.Node, network string, store *ipam.Store) *podList {
	return &podList{
		node: n, network: network, store: store,
		byOwner: map[ipam.Owner]*Pod{}, byVeth: map[string]*Pod{}, byAddr: map[netip.Addr]*Pod{},
	}
}

func (l *podList) leases() error {
	for lease, err := range l.store.Leases() {
		if err != nil {
			return err
		}
		p := l.byOwner[lease.Owner]
		if p == nil {
			p = &Pod{Owner: lease.Owner, Name: lease.Pod, Leased: true, Ours: lease.Ours, Since: lease.Since}
			l.pods = append(l.pods, p)
			l.byOwner[lease.Owner] = p
			l.byVeth[device.VethName(l.network, lease.Owner.ContainerID, lease.Owner.IfName)] = p
		}
		p.Addrs = append(p.Addrs, lease.Addr)
		l.byAddr[lease.Addr] = p
	}
	return nil
}

// veth adds a host veth, and what is at its other end. A pod that has gone since the veths were
// listed is left out.
func (l *podList) veth(v kernel.HostVeth) error {
	end, err := l.node.End(v)
	if errors.Is(err, kernel.ErrGone) {
		gone := l.byVeth[v.Device]
		l.pods = slices.DeleteFunc(l.pods, func(p *Pod) bool { return p == gone })
		return nil
	}
	if err != nil {
		return err
	}
	p := l.podOf(v, end)
	if p == nil {
		l.pods = append(l.pods, unknown(v, end, l.network))
		return nil
	}
	p.Veth = v
	p.Unleased, err = l.unleased(p, end)
	return err
}

// podOf finds the pod of a host veth: by podnet's name for it, else by the addresses in the pod, as
// the reference plugin's veths have random names. nil: nobody has a lease for it.
func (l *podList) podOf(v kernel.HostVeth, end kernel.PodEnd) *Pod {
	if p := l.byVeth[v.Device]; p != nil {
		return p
	}
	for _, a := range end.Addrs {
		if p := l.byAddr[a.Addr()]; p != nil && p.Veth.Device == "" {
			return p
		}
	}
	return nil
}

// unknown is a pod without a lease.
func unknown(v kernel.HostVeth, end kernel.PodEnd, network string) *Pod {
	p := &Pod{Veth: v, Owner: ownerOf(v.Alias, network)}
	for _, a := range end.Addrs {
		p.Addrs = append(p.Addrs, a.Addr())
	}
	return p
}

// unleased are the addresses at the pod's end that it has no lease of, now: one that comes may have
// got it since the leases were read.
func (l *podList) unleased(p *Pod, end kernel.PodEnd) (addrs []netip.Addr, err error) {
	for _, a := range end.Addrs {
		if slices.Contains(p.Addrs, a.Addr()) {
			continue
		}
		holds, err := l.store.Holds(p.Owner, a.Addr())
		if err != nil {
			return nil, err
		}
		if !holds {
			addrs = append(addrs, a.Addr())
		}
	}
	return addrs, nil
}

// ownerOf reads podnet's alias of a host veth.
func ownerOf(alias, network string) ipam.Owner {
	if name, id, ifname, ok := device.ParsePodAlias(alias); ok && name == network {
		return ipam.Owner{ContainerID: id, IfName: ifname}
	}
	return ipam.Owner{}
}

func (l *podList) sorted() []Pod {
	out := make([]Pod, len(l.pods))
	for i, p := range l.pods {
		slices.SortFunc(p.Addrs, netip.Addr.Compare)
		out[i] = *p
	}
	slices.SortFunc(out, func(a, b Pod) int {
		return cmp.Or(slices.CompareFunc(a.Addrs, b.Addrs, netip.Addr.Compare), cmp.Compare(a.Veth.Device, b.Veth.Device))
	})
	return out
}
