package portmap

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// owner is the attachment that a rule is there for. Every rule leads to its owner, so that it is
// found without anything but names. What the reference plugin made names no interface, and in
// nftables no network.
type owner struct{ network, container, ifname string }

// Rules hold comments of a limited length, and nft fewer than the kernel: 127 characters. Names
// that are longer than any runtime's are told by a digest.
const (
	maxNetwork   = 40
	maxContainer = 66
	digestMark   = "~" // in front of a digest; no name has it
)

func ownerOf(req *protocol.Request) owner { return owner{req.Network, req.ContainerID, req.IfName} }

// short returns the owner as rules name it.
func (o owner) short() owner {
	return owner{shorten(o.network, maxNetwork), shorten(o.container, maxContainer), o.ifname}
}

func shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:limit-17] + digestMark + hex.EncodeToString(sum[:8])
}

// complete reports whether all names are known, in full.
func (o owner) complete() bool {
	return o.network != "" && o.ifname != "" && !strings.Contains(o.network+o.container, digestMark)
}

// String returns the short owner as text that parseOwner reads.
func (o owner) String() string {
	s := o.short()
	return s.network + "/" + s.container + "/" + s.ifname
}

func parseOwner(text string) (owner, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return owner{}, false
	}
	return owner{parts[0], parts[1], parts[2]}, true
}

// names reports whether what other has left may be this one's: all that it names is the same.
func (o owner) names(other owner) bool {
	mine, other := o.short(), other.short()
	return other.container == mine.container &&
		(other.network == mine.network || other.network == "") &&
		(other.ifname == mine.ifname || other.ifname == "")
}
