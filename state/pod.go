package state

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
)

// Pod is one attachment to podnet's network on this node, as far as its lease and its host veth tell.
type Pod struct {
	Owner  ipam.Owner // zero: a port of the bridge that no lease belongs to
	Name   string     // as the runtime calls it, such as default/web; "": it did not say
	Addrs  []netip.Addr
	Leased bool
	Ours   bool // podnet's plugins wrote the lease
	Veth   HostVeth
	Since  time.Time // when its lease was made; zero: it has none
}

// PodList joins the leases of a network with the host veths, in the order of the addresses. It takes no lock, so a pod that
// comes or goes at this moment may be half there.
func (n *Node) PodList(network, bridge string) ([]Pod, error) {
	l := podList{node: n, network: network, byOwner: map[ipam.Owner]*Pod{}}
	if err := l.leases(filepath.Join(n.paths.IPAMDataDir, network)); err != nil {
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
	node    *Node
	network string
	pods    []*Pod
	byOwner map[ipam.Owner]*Pod
	byVeth  map[string]*Pod
	byAddr  map[netip.Addr]*Pod
}

func (l *podList) leases(dir string) error {
	store, err := ipam.Open(dir)
	if err != nil {
		return err
	}
	l.byVeth, l.byAddr = map[string]*Pod{}, map[netip.Addr]*Pod{}
	for lease, err := range store.Leases() {
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

// veth finds the pod of a host veth: by podnet's name for it, else by the addresses in the pod, as the reference plugin's
// veths have random names. One that nobody has a lease for is a pod without.
func (l *podList) veth(v HostVeth) error {
	if p := l.byVeth[v.Device]; p != nil {
		p.Veth = v
		return nil
	}
	end, err := l.node.End(v)
	if err != nil {
		return err
	}
	for _, a := range end.Addrs {
		if p := l.byAddr[a.Addr()]; p != nil && p.Veth.Device == "" {
			p.Veth = v
			return nil
		}
	}
	p := &Pod{Veth: v, Owner: ownerOf(v.Alias, l.network)}
	for _, a := range end.Addrs {
		p.Addrs = append(p.Addrs, a.Addr())
	}
	l.pods = append(l.pods, p)
	return nil
}

// ownerOf reads podnet's alias of a host veth.
func ownerOf(alias, network string) ipam.Owner {
	rest, ours := strings.CutPrefix(alias, network+"/")
	if !ours {
		return ipam.Owner{}
	}
	id, ifname, _ := strings.Cut(rest, "/")
	return ipam.Owner{ContainerID: id, IfName: ifname}
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
