// Package device is what podnetd and the bridge plugin have to do alike: the names and marks of
// devices, and the bridge. It imports next to nothing, because a plugin's start is most of its
// time.
package device

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Marks of ownership: podnet changes and deletes only what carries one of these.
const (
	GroupDevice   = 7200 // link group of podnet's bridge and vxlan device
	GroupPod      = 7201 // link group of host veths that podnet's own conflist asked for
	GroupDeleting = 7202 // link group of host veths on their way out
)

// VethName is the host veth of one attachment, 15 bytes: the same whoever computes it, so that a
// repeated ADD finds what an interrupted one left.
func VethName(network, containerID, ifname string) string {
	sum := sha256.Sum256([]byte(attachment(network, containerID, ifname)))
	return vethPrefix + hex.EncodeToString(sum[:])[:vethDigits]
}

// IsVethName says whether VethName can have given this name. The reference plugin's have eight
// digits, of chance.
func IsVethName(name string) bool {
	digits, ok := strings.CutPrefix(name, vethPrefix)
	return ok && len(digits) == vethDigits && strings.Trim(digits, "0123456789abcdef") == ""
}

const (
	vethPrefix = "veth"
	vethDigits = 11
)

// longestAlias is what the kernel takes, in bytes: IFALIASZ less the zero at its end.
const longestAlias = 255

// PodAlias is the interface alias that tells a host veth's pod without entering its namespace:
// network/containerID/ifname. It is "" where that is too long for the kernel: then the veth's name
// and the pod's lease tell, which are for any length.
func PodAlias(network, containerID, ifname string) string {
	alias := attachment(network, containerID, ifname)
	if len(alias) > longestAlias {
		return ""
	}
	return alias
}

// ParsePodAlias reads an alias as PodAlias makes it; false: it is something else, an operator's own
// for instance.
func ParsePodAlias(alias string) (network, containerID, ifname string, ok bool) {
	words := strings.Split(alias, "/")
	if len(words) != 3 || words[0] == "" || words[1] == "" || words[2] == "" {
		return "", "", "", false
	}
	return words[0], words[1], words[2], true
}

func attachment(network, containerID, ifname string) string {
	return network + "/" + containerID + "/" + ifname
}
