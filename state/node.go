package state

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Node is the live node: the kernel of the network namespace in which it was opened, iptables, and the conflist. It is
// for one goroutine at a time.
type Node struct {
	paths  Paths
	handle *netlink.Handle
	rtnl   *rtnl
	nft    *rtnl // nil: without nftables in this kernel

	links    map[string]netlink.Link // as of the last look, and what has been made since
	names    map[int]string
	addrs    []netlink.Addr
	underlay string // as of the last Facts
	begun    bool   // LocalAddrs has looked at links and addresses for the Live to come

	live  Live                // its tables are filled anew by each Live
	rules map[uint8]ruleCache // by family
	bases baseChains

	lookups lookupCache

	interest atomic.Pointer[interest] // of the watch
	filter   watchFilter              // of the watch too
	flood    flood
	lastRead readGeneration // of nftables
	overruns atomic.Uint64
	authors  authors
}

// Live is what a node holds of what podnet owns, and what stands in its way.
type Live struct {
	Set
	Kept      Kinds    // of these it is what the look before saw, because nothing has happened to them
	Pods      []string // host veths of podnet's own network
	Conflicts []Conflict
	Unknown   [KindCount]error // why a kind could not be read; its table then says nothing
	Partly    Kinds            // of these only a part is unknown: the table holds it as it should be, so that the rest can be healed
}

// Open opens the node in the calling thread's network namespace.
func Open(paths Paths) (*Node, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	conn, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		handle.Close()
		return nil, err
	}
	nft, err := dial(unix.NETLINK_NETFILTER)
	if err != nil {
		nft = nil
	}
	n := &Node{paths: paths, handle: handle, rtnl: conn, nft: nft, rules: map[uint8]ruleCache{}, filter: watchFilter{sample: sampled}}
	n.authors.by, n.authors.own = map[Key]Author{}, map[uint32]bool{conn.id: true}
	return n, nil
}

// Close gives the node's sockets back.
func (n *Node) Close() {
	n.handle.Close()
	n.rtnl.close()
	if n.nft != nil {
		n.nft.close()
	}
}

// Live reads every kind from the kernel and the files. want names what to look for beside what podnet owns. A kind that
// cannot be read does not keep the others from being read. What it returns is good until it is called again: a daemon
// looks all day, and the memory for it is used over and over.
func (n *Node) Live(want *Set) (*Live, error) { return n.LiveAgain(want, AllKinds) }

// LiveAgain looks again at some kinds, and takes the others to be what the last Live saw. It looks at all of them if what
// these stand on has to be looked at too.
func (n *Node) LiveAgain(want *Set, these Kinds) (*Live, error) {
	these = these.Disturbed()
	if these.Has(KindLink) {
		if err := n.look(); err != nil {
			return nil, err
		}
	}
	live := &n.live
	live.Kept = AllKinds &^ these
	if these.Has(KindBridgePort) {
		live.Pods = nil
	}
	live.Conflicts = slices.DeleteFunc(slices.Clone(live.Conflicts), func(c Conflict) bool { return these.Has(c.Key.Kind) })
	for k, kind := range kinds() {
		if these.Has(Kind(k)) {
			live.table(Kind(k)).reset(want.Count(Kind(k)))
			live.Partly &^= 1 << k
			live.Unknown[k] = kind.list(n, want, live)
		}
	}
	return live, nil
}

// Owned reads what podnet owns of some kinds only, which are in the order of the constants.
func (n *Node) Owned(some ...Kind) (*Live, error) {
	n.begun = false
	if err := n.look(); err != nil {
		return nil, err
	}
	live := &Live{}
	for _, k := range some {
		if err := kinds()[k].list(n, &Set{}, live); err != nil {
			return nil, err
		}
	}
	return live, nil
}

// Apply carries out changes of one kind, all of them deletions or none, and leaves the outcome in each.
func (n *Node) Apply(k Kind, changes []*Change) {
	n.begun = false
	kinds()[k].apply(n, changes)
}

// look is the one look at all devices and addresses that a pass takes before everything else: the first Live after a
// LocalAddrs goes by what that has seen.
func (n *Node) look() error {
	if n.begun {
		n.begun = false
		return nil
	}
	if err := n.readLinks(); err != nil {
		return err
	}
	var err error
	n.addrs, err = n.listAddresses()
	return err
}

func (n *Node) readLinks() error {
	n.begun = false
	links, err := whole(n.handle.LinkList)
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	n.links, n.names = make(map[string]netlink.Link, len(links)), make(map[int]string, len(links))
	for _, l := range links {
		n.links[l.Attrs().Name] = l
		n.names[l.Attrs().Index] = l.Attrs().Name
	}
	return nil
}

// whole repeats a dump that changed under the reader.
func whole[T any](dump func() ([]T, error)) (all []T, err error) {
	for range dumpAttempts {
		if all, err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return nil, err
}

// index is a device's index, 0 if there is no such device.
func (n *Node) index(device string) int {
	if l, ok := n.links[device]; ok {
		return l.Attrs().Index
	}
	return 0
}

// name is a device's name, "" if it came after the last look.
func (n *Node) name(index int) string { return n.names[index] }

// tunnels are podnet's live vxlan devices and their indices.
func (n *Node) tunnels(live *Live) map[string]int {
	found := map[string]int{}
	for _, l := range live.Links.Rows() {
		if l.Type == "vxlan" {
			found[l.Device] = n.index(l.Device)
		}
	}
	return found
}

// batch sends the changes over the fast socket and names the object in each error.
func (n *Node) batch(changes []*Change, encode func(*Change) request) {
	for i, err := range n.rtnl.do(len(changes), func(i int) request { return encode(changes[i]) }) {
		if c := changes[i]; err != nil {
			c.Err = fmt.Errorf("%s %s %s: %w", c.Op, c.Kind, c.Object().Name(), err)
		}
	}
}

// absent is the errno that says that what should go is gone already.
func absent(c *Change, gone syscall.Errno) syscall.Errno {
	if c.Have == nil {
		return 0
	}
	return gone
}

func verb(c *Change, put, remove uint16) uint16 {
	if c.Op == Delete {
		return remove
	}
	return put
}

func replaceFlags(c *Change) uint16 {
	if c.Op == Delete {
		return 0
	}
	return unix.NLM_F_CREATE | unix.NLM_F_REPLACE
}
