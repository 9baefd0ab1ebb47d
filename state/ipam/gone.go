package ipam

import (
	"net/netip"
	"path/filepath"
	"time"

	"github.com/podnet/podnet/state/device"
)

// Sight is what can be seen of the pods from the network namespace that their host veths are in.
type Sight interface {
	// Link reports whether there is a link of this name.
	Link(name string) (bool, error)
	// Behind reports whether a veth leads to a network namespace that has one of the addresses.
	// sure says that a no is certain: each namespace that a pod of this network may be in was seen,
	// and has an address.
	Behind(addrs []netip.Addr) (is, sure bool, err error)
}

// inFlight is how long an ADD may take from its lease to the pod's address where nothing tells
// whether one is under way: when host-local gave the lease to another bridge plugin than podnet's.
const inFlight = time.Minute

// Gone reports whether a lease's pod has gone: it has no host veth of podnet's name, and no veth
// leads to one of its addresses, as podnet's host-local serves other bridge plugins too. Of a lease
// that podnet's bridge plugin made that is enough. Any other lease may be of a pod whose address
// cannot be seen, or that is being added.
func (s *Store) Gone(l Lease, sight Sight) (bool, error) {
	if !l.Bound && l.young() {
		return false, nil
	}
	is, sure, err := s.Absent(l.Owner, sight)
	return is && (sure || l.Bound), err
}

// Absent reports whether nothing of an attachment is to be seen, leases or not, and whether that is
// certain.
func (s *Store) Absent(o Owner, sight Sight) (is, sure bool, err error) {
	if there, err := sight.Link(device.VethName(filepath.Base(s.dir), o.ContainerID, o.IfName)); there || err != nil {
		return false, true, err
	}
	e, err := s.held(o)
	if err != nil {
		return false, false, err
	}
	there, sure, err := sight.Behind(e.addrs)
	return err == nil && !there, sure, err
}

// young reports whether the lease was made so lately that its ADD may still be at work. A lease of
// the future was made before the clock was set back.
func (l Lease) young() bool { return time.Since(l.Since).Abs() < inFlight }
