package runtimes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// The directories of the runtimes' own defaults.
const (
	DefaultPluginDir = "/opt/cni/bin"
	DefaultConfDir   = "/etc/cni/net.d"
)

// Runtime is a container runtime of this host and what it is told of CNI. Its paths lie below the
// root that was read.
type Runtime struct {
	Name       string
	Config     string   // the file that says so; "": none does, and its defaults hold
	PluginDirs []string // in the order in which it looks
	ConfDir    string
	MaxConfs   int    // it takes so many configurations, the first ones; 0: all
	Network    string // the name of the only network that it takes; "": it takes the first
	CRI        bool   // kubelets speak to it, and every pod is in its network; the others take a network by its name
}

// Host is every runtime that is there, those that kubelets speak to first.
type Host struct {
	Runtimes []Runtime
	Faults   []Fault
}

// Fault is why it is not known where a runtime looks.
type Fault struct {
	Runtime string
	Path    string
	Line    int    // 0: it is about the whole file
	Problem string // without a word of the file
	Denied  bool   // the file is not for this user to read, and may be in order
}

func (f Fault) Error() string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Problem)
	}
	return fmt.Sprintf("%s: %s", f.Path, f.Problem)
}

// Read reads the configuration of all runtimes below root.
func Read(root string) Host {
	var h Host
	for _, read := range []func(*reader) (*Runtime, error){readContainerd, readCRIO, readRancher("k3s", "k3s"),
		readRancher("RKE2", "rke2"), readNerdctl, readPodman, readNomad} {
		f := &reader{root: filepath.Join("/", root)}
		r, err := read(f)
		switch {
		case err != nil:
			h.Faults = append(h.Faults, err.(Fault)) // every error of this package is one
		case r != nil:
			h.Runtimes = append(h.Runtimes, *r)
		}
	}
	return h
}

// Find returns the file that the runtime takes for a plugin, as libcni does: the first regular file
// of that name. "": none.
func (r Runtime) Find(plugin string) string {
	for _, dir := range r.PluginDirs {
		path := filepath.Join(dir, plugin)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// Target is the directory to put plugins into so that the runtime finds them: the first that is
// there. If none is, it is the one of all runtimes' defaults, as far as this one looks there.
func (r Runtime) Target(root string) string {
	for _, dir := range r.PluginDirs {
		if isDir(dir) {
			return dir
		}
	}
	if common := filepath.Join("/", root, DefaultPluginDir); slices.Contains(r.PluginDirs, common) {
		return common
	}
	return r.PluginDirs[0]
}

// Searches reports whether the runtime looks for plugins in a directory, whatever that is called.
func (r Runtime) Searches(dir string) bool {
	return slices.ContainsFunc(r.PluginDirs, func(d string) bool { return SameDir(d, dir) })
}

// Targets are the directories that plugins have to be put into so that every runtime finds them,
// the most important one first. A host without a runtime has that of the runtimes' defaults.
func (h Host) Targets(root string) []string {
	var dirs []string
	for _, r := range h.Runtimes {
		if !slices.ContainsFunc(dirs, r.Searches) {
			dirs = append(dirs, r.Target(root))
		}
	}
	if len(dirs) == 0 {
		dirs = []string{filepath.Join("/", root, DefaultPluginDir)}
	}
	return dirs
}

// SameDir reports whether two paths lead to one directory: by name, or through symbolic links.
func SameDir(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	two, err := os.Stat(b)
	return err == nil && os.SameFile(one, two)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Lookup is what a runtime finds of podnet's.
type Lookup struct {
	Runtime
	Found   []string // paths of plugins
	Missing []string // names of plugins
	Locked  []string // paths of plugins that nobody may execute
	Target  string   // the directory to put missing ones into
	Reads   bool     // it reads the directory of podnet's conflist
}

// Look looks for plugins as the runtime does. confDir is the directory of podnet's conflist.
func (r Runtime) Look(root, confDir string, plugins []string) Lookup {
	l := Lookup{Runtime: r, Target: r.Target(root), Reads: SameDir(r.ConfDir, confDir)}
	for _, plugin := range plugins {
		path := r.Find(plugin)
		if path == "" {
			l.Missing = append(l.Missing, plugin)
			continue
		}
		l.Found = append(l.Found, path)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 == 0 {
			l.Locked = append(l.Locked, path)
		}
	}
	return l
}
