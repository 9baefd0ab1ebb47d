package lab

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// groupName begins the names of the cgroups that labs make. These are the machine's, and alone of
// all that a lab makes they outlive one that is killed.
const groupName = "podnet-test-"

// groupParents are the hierarchies that systemd keeps its processes in.
func groupParents() []string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return []string{"/sys/fs/cgroup"}
	}
	return []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"}
}

// group is a cgroup that belongs to this process: the lock on its directory goes with the process,
// however that ends.
type group struct {
	path string
	lock *os.File
}

// newGroup makes a cgroup, or takes over one whose owner is gone.
func newGroup(path string) (*group, error) {
	for {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
		g, err := openGroup(path, unix.LOCK_EX)
		if err == nil || !errors.Is(err, fs.ErrNotExist) { // another lab was quicker to remove what it took for left behind
			return g, err
		}
	}
}

// openGroup locks a cgroup; fs.ErrNotExist: it is gone.
func openGroup(path string, how int) (*group, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), how)
	if err == nil {
		var have, locked fs.FileInfo
		if have, err = os.Stat(path); err == nil {
			if locked, err = f.Stat(); err == nil && !os.SameFile(have, locked) {
				err = fs.ErrNotExist
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &group{path, f}, nil
}

// remove removes the cgroup and those that were made in it.
func (g *group) remove() {
	removeEmpty(g.path)
	g.lock.Close()
}

func removeEmpty(dir string) {
	entries, _ := os.ReadDir(dir) // gone is fine
	for _, e := range entries {
		if e.IsDir() {
			removeEmpty(filepath.Join(dir, e.Name()))
		}
	}
	_ = unix.Rmdir(dir) // the kernel keeps one with processes in it
}

// removeLeftGroups removes the cgroups of a hierarchy that labs have made and whose owners are
// gone.
func removeLeftGroups(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, groupName+"*")) // the pattern is a good one
	for _, path := range left {
		if g, err := openGroup(path, unix.LOCK_EX|unix.LOCK_NB); err == nil {
			g.remove()
		}
	}
}
