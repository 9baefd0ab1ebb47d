package portmap

import "errors"

// Collect removes the port mappings of a network whose attachment gone says is gone, with their
// records in a directory, and returns how many mappings there were. gone is asked when the mappings have been read: a pod has its veth before
// its mappings.
func Collect(dir, network string, gone func(containerID, ifname string) (bool, error)) (int, error) {
	var failed error
	name := owner{network: network}.short().network
	removed, err := clean(whose{match: func(o owner, _ []mapping) bool {
		if o.short().network != name || !o.complete() {
			return false
		}
		is, err := gone(o.container, o.ifname)
		failed = errors.Join(failed, err)
		return is && err == nil
	}})
	forgot := forgotten(recordDir(dir), func(o owner) (bool, error) {
		if o.network != network {
			return false, nil
		}
		return gone(o.container, o.ifname)
	})
	return len(removed), errors.Join(err, failed, forgot)
}
