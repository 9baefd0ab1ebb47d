package portmap

import (
	"errors"
	"strings"
)

// Collect removes the port mappings of a network whose attachment gone says is gone, and returns how many there were. gone
// is asked when the mappings have been read: a pod has its veth before its mappings.
func Collect(network string, gone func(containerID, ifname string) (bool, error)) (int, error) {
	var failed error
	count := 0
	name := newOwner(network, "", "").network
	err := withBackends(func(b *backends) error {
		removed, err := b.remove(func(o owner) bool {
			if o.network != name || o.ifname == "" || strings.Contains(o.container, "~") { // a name that was shortened says nothing
				return false
			}
			is, err := gone(o.container, o.ifname)
			failed = errors.Join(failed, err)
			return is && err == nil
		})
		count = len(removed)
		return errors.Join(err, forget(b.conn, removed))
	})
	return count, errors.Join(err, failed)
}
