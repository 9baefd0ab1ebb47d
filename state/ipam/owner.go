package ipam

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
)

// Owner is the attachment that a lease belongs to. A lease of very old plugins names no interface.
type Owner struct {
	ContainerID string
	IfName      string
}

const separator = "\r\n"

// content is the lease file's, without a newline at the end.
func (o Owner) content() string {
	if o.IfName == "" {
		return o.ContainerID
	}
	return o.ContainerID + separator + o.IfName
}

// parseOwner reads the content of a lease file. One that is empty, left by a plugin that was
// killed, or that the crash of the machine left full of zeros has no owner.
func parseOwner(content string) (Owner, bool) {
	id, ifname, _ := strings.Cut(strings.TrimSpace(content), separator)
	return Owner{id, ifname}, id != "" && !strings.ContainsFunc(id, unicode.IsControl)
}

// key names the owner's index entry: a hash, as a container id may be longer than a file name.
func (o Owner) key() string {
	sum := sha256.Sum256([]byte(o.content()))
	return hex.EncodeToString(sum[:16])
}

// legacy is the owner as a very old plugin wrote it.
func (o Owner) legacy() Owner { return Owner{ContainerID: o.ContainerID} }
