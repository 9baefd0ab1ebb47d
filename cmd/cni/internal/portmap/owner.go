package portmap

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// owner is the attachment that a rule is there for. Every rule names it, so that it is found without anything but its names.
// What the reference plugin left names no interface, and in nftables no network.
type owner struct{ network, container, ifname string }

// Rules hold comments of a limited length, and nft fewer than the kernel: 127 characters. Names that are longer than any
// runtime's are told by a digest.
const (
	maxNetwork   = 40
	maxContainer = 66
)

func newOwner(network, container, ifname string) owner {
	return owner{shorten(network, maxNetwork), shorten(container, maxContainer), ifname}
}

func ownerOf(req *protocol.Request) owner { return newOwner(req.Network, req.ContainerID, req.IfName) }

// shorten puts a ~ in front of the digest, which no name has.
func shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:limit-17] + "~" + hex.EncodeToString(sum[:8])
}

func (o owner) String() string { return o.network + "/" + o.container + "/" + o.ifname }

func parseOwner(text string) (owner, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return owner{}, false
	}
	return owner{parts[0], parts[1], parts[2]}, true
}

// names says whether what other has left may be this one's: all that it names is the same.
func (o owner) names(other owner) bool {
	return other.container == o.container && (other.network == o.network || other.network == "") && (other.ifname == o.ifname || other.ifname == "")
}
