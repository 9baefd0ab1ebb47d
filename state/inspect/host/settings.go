// Package host reads what surrounds podnet on a host: other programs' configuration, and settings
// of the kernel that podnet neither sets nor owns. It changes nothing.
package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Settings are everything that this package can see. What could not be seen is in Unseen, as
// sentences.
type Settings struct {
	Kernel     string // release
	Networkd   Networkd
	Manager    NetworkManager
	Conflists  []string       // names of the runtime's configurations, in its order
	Neighbours map[string]int // gc_thresh3 by family: ipv4, ipv6
	Unseen     []string
}

// Read looks at the host below root; conflists is the directory of the runtime's configurations.
func Read(root, conflists string) Settings {
	f := Settings{Networkd: readNetworkd(root), Manager: readNetworkManager(root), Neighbours: map[string]int{}}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		f.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	f.readConflists(conflists)
	for _, family := range []string{"ipv4", "ipv6"} {
		f.readNeighbours(family)
	}
	return f
}

func (f *Settings) readConflists(dir string) {
	entries, err := os.ReadDir(dir) // in the order of names
	if err != nil && !os.IsNotExist(err) {
		f.Unseen = append(f.Unseen, err.Error())
	}
	for _, e := range entries {
		switch filepath.Ext(e.Name()) { // as runtimes do, which know no other case
		case ".conf", ".conflist", ".json":
			f.Conflists = append(f.Conflists, e.Name())
		}
	}
}

// readNeighbours: the thresholds are the machine's, and only its first network namespace shows
// them.
func (f *Settings) readNeighbours(family string) {
	path := "/proc/sys/net/" + family + "/neigh/default/gc_thresh3"
	b, err := os.ReadFile(path)
	if err == nil {
		f.Neighbours[family], err = strconv.Atoi(strings.TrimSpace(string(b)))
	}
	if err != nil {
		f.Unseen = append(f.Unseen, "the neighbour thresholds: "+err.Error())
	}
}

// runs says whether systemd has started a service: then it has a control group.
func runs(root, service string) bool {
	for _, hierarchy := range []string{"", "systemd", "unified"} {
		if _, err := os.Stat(filepath.Join(root, "/sys/fs/cgroup", hierarchy, "system.slice", service)); err == nil {
			return true
		}
	}
	return false
}
