package state

import (
	"net/netip"

	"github.com/podnet/podnet/schema"
)

// MAC is an Ethernet address that can be compared.
type MAC = schema.MAC

// Resource is one object of a node, as a comparable value in normal form: the node is right when
// the live value equals the desired one. It holds only what podnet manages of the object.
type Resource interface {
	// Key tells two objects apart: no node can hold two of the same key.
	Key() Key
	// Parent is what the object cannot be without: it dies with it, and waits for it. The zero Key:
	// nothing.
	Parent() Key
	// Name is the object as a person names it: podnet.1, 10.244.42.0/24.
	Name() string
	// Attrs is what else there is to say of it, in the words of ip(8) and bridge(8).
	Attrs() string
}

// Replacer is a Resource that cannot always be changed in place.
type Replacer interface {
	// MustReplace says in a sentence why have has to be deleted and made anew to become the
	// receiver; "" if it has not.
	MustReplace(have Resource) string
}

// Key identifies an object on a node. Which fields count depends on the kind; the others are zero.
// It is a value without pointers of its own making, because a pass compares 150,000 of them.
type Key struct {
	Kind Kind
	Bits uint8      // prefix length
	MAC  MAC        // FDB
	Num  uint32     // metric of a route, family of a chain
	Name string     // device, chain, path
	Addr netip.Addr // address, or network of a prefix
}

// IsZero says that the key names nothing.
func (k Key) IsZero() bool { return k == Key{} }

// Origin says what in the topology asks for an object: the index of a node's entry, or OwnNode.
type Origin int32

// OwnNode is the Origin of what belongs to the node itself.
const OwnNode Origin = -1
