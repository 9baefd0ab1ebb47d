package kernel

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Node is the live node: the kernel of the network namespace in which it was opened, iptables, and
// the conflist. It is for one goroutine at a time.
type Node struct {
	Paths     state.Paths
	Handle    *vishvananda.Handle
	Conn      *netlink.Conn // for the kinds that come by the thousand: a message of Handle costs twenty times as much
	Firewall  *firewall.Host
	Watcher   *Watcher
	HostPorts HostPorts // nil: nobody asks for them

	Links    map[string]vishvananda.Link // as of the last look, and what has been made since
	names    map[int]string
	Addrs    []vishvananda.Addr
	underlay string // as of the last Facts
	begun    bool   // LocalAddrs has looked at links and addresses for the Live to come

	live state.Live // its tables are filled anew by each Live

	lookups   lookupCache
	published hostPortCache
}

// Open opens the node in the calling thread's network namespace.
func Open(paths state.Paths) (*Node, error) {
	handle, err := vishvananda.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	conn, err := netlink.DialBulk(unix.NETLINK_ROUTE)
	if err != nil {
		handle.Close()
		return nil, err
	}
	id, err := conn.PortID()
	if err != nil {
		handle.Close()
		conn.Close()
		return nil, err
	}
	n := &Node{Paths: paths, Handle: handle, Conn: conn}
	n.Watcher = newWatcher(id)
	n.Firewall = firewall.Open(n.Watcher.actors.spawn)
	n.Watcher.hasRead = n.Firewall.HasRead
	return n, nil
}

// Close gives the node's sockets back.
func (n *Node) Close() {
	n.Handle.Close()
	n.Conn.Close()
	n.Firewall.Close()
}

// Live reads every kind from the kernel and the files. want names what to look for beside what
// podnet owns. A kind that cannot be read does not keep the others from being read. What it returns
// is good until it is called again: a daemon looks all day, and the memory for it is used over and
// over.
func (n *Node) Live(want *state.Set) (*state.Live, error) { return n.LiveAgain(want, state.AllKinds) }

// LiveAgain looks again at some kinds, and takes the others to be what the last Live saw. It looks
// at all of them if what these stand on has to be looked at too.
func (n *Node) LiveAgain(want *state.Set, these state.Kinds) (*state.Live, error) {
	these = these.Disturbed()
	if these.Has(state.KindLink) {
		if err := n.look(); err != nil {
			return nil, err
		}
	}
	live := &n.live
	live.Kept = state.AllKinds &^ these
	if these.Has(state.KindBridgePort) {
		live.Pods = nil
	}
	live.Conflicts = slices.DeleteFunc(slices.Clone(live.Conflicts),
		func(c state.Conflict) bool { return these.Has(c.Key.Kind) })
	for k, kind := range kinds() {
		if these.Has(state.Kind(k)) {
			live.TableOf(state.Kind(k)).Reset(want.Count(state.Kind(k)))
			live.Partly &^= 1 << k
			live.Unknown[k] = kind.list(n, want, live)
		}
	}
	return live, nil
}

// Owned reads what podnet owns of some kinds only, which are in the order of the constants.
func (n *Node) Owned(some ...state.Kind) (*state.Live, error) {
	if err := n.Refresh(); err != nil {
		return nil, err
	}
	live := &state.Live{}
	for _, k := range some {
		if err := kinds()[k].list(n, &state.Set{}, live); err != nil {
			return nil, err
		}
	}
	return live, nil
}

// Apply carries out changes of one kind, all of them deletions or none, and leaves the outcome in
// each.
func (n *Node) Apply(k state.Kind, changes []*state.Change) {
	n.begun = false
	kinds()[k].apply(n, changes)
}

// look is the one look at all devices and addresses that a pass takes before everything else: the
// first Live after a LocalAddrs goes by what that has seen.
func (n *Node) look() error {
	if n.begun {
		n.begun = false
		return nil
	}
	if err := n.ReadLinks(); err != nil {
		return err
	}
	var err error
	n.Addrs, err = n.listAddresses()
	return err
}

// Refresh lists all links and addresses anew, whatever has begun.
func (n *Node) Refresh() error {
	n.begun = false
	return n.look()
}

// ReadLinks lists all links anew, and no addresses.
func (n *Node) ReadLinks() error {
	n.begun = false
	links, err := whole(n.Handle.LinkList)
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	n.Links, n.names = make(map[string]vishvananda.Link, len(links)), make(map[int]string, len(links))
	for _, l := range links {
		n.Links[l.Attrs().Name] = l
		n.names[l.Attrs().Index] = l.Attrs().Name
	}
	return nil
}

// whole repeats a dump that changed under the reader.
func whole[T any](dump func() ([]T, error)) (all []T, err error) {
	for range netlink.DumpAttempts {
		if all, err = dump(); !errors.Is(err, vishvananda.ErrDumpInterrupted) {
			return all, err
		}
	}
	return nil, err
}

// Index is a device's index, 0 if there is no such device.
func (n *Node) Index(device string) int {
	if l, ok := n.Links[device]; ok {
		return l.Attrs().Index
	}
	return 0
}

// Name is a device's name, "" if it came after the last look.
func (n *Node) Name(index int) string { return n.names[index] }

// tunnels are podnet's live vxlan devices and their indices.
func (n *Node) tunnels(live *state.Live) map[string]int {
	found := map[string]int{}
	for _, l := range live.Links.Rows() {
		if l.Type == "vxlan" {
			found[l.Device] = n.Index(l.Device)
		}
	}
	return found
}

// batch sends the changes over the fast socket and names the object in each error.
func (n *Node) batch(changes []*state.Change, encode func(*state.Change) netlink.Request) {
	for i, err := range n.Conn.Apply(len(changes), func(i int) netlink.Request { return encode(changes[i]) }) {
		if c := changes[i]; err != nil {
			c.Err = fmt.Errorf("%s %s %s: %w", c.Op, c.Kind, c.Object().Name(), err)
		}
	}
}

// absent is the errno that says that what should go is gone already.
func absent(c *state.Change, gone syscall.Errno) syscall.Errno {
	if c.Have == nil {
		return 0
	}
	return gone
}

func verb(c *state.Change, put, remove uint16) uint16 {
	if c.Op == state.Delete {
		return remove
	}
	return put
}

func replaceFlags(c *state.Change) uint16 {
	if c.Op == state.Delete {
		return 0
	}
	return unix.NLM_F_CREATE | unix.NLM_F_REPLACE
}
