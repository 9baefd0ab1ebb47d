package runtimes

import (
	"cmp"
	"debug/buildinfo"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The names of containerd's CRI service in the versions of its configuration.
const (
	criV1 = "cri"
	criV2 = "io.containerd.grpc.v1.cri"
	criV3 = "io.containerd.cri.v1.runtime"
)

// containerd is its configuration as far as files have been read.
type containerd struct {
	*reader
	main     string
	program  string // "": it is none of the host's own
	version  int    // of the main file
	modern   bool   // containerd 2
	cni      table
	said     string // the last file that has said something of CNI
	disabled []string
}

// mostImports bounds how many files a configuration may import.
const mostImports = 1000

// readContainerd reads /etc/containerd/config.toml and what it imports. A file that is not there
// means containerd's defaults.
func readContainerd(f *reader) (*Runtime, error) {
	f.runtime = "containerd"
	c := &containerd{reader: f, main: f.at("/etc/containerd/config.toml"), program: f.program("containerd"), cni: table{}}
	there, err := c.readAll()
	if err != nil || !there && c.program == "" || slices.ContainsFunc(c.disabled, isCRI) {
		return nil, err
	}
	return c.runtime()
}

// readRancher reads the configuration that k3s or RKE2 has made for the containerd that it brings
// along. One whose network is its own flannel asks for no other.
func readRancher(name, dir string) func(*reader) (*Runtime, error) {
	return func(f *reader) (*Runtime, error) {
		f.runtime = name
		c := &containerd{reader: f, main: f.at("/var/lib/rancher/" + dir + "/agent/etc/containerd/config.toml"), cni: table{}}
		there, err := c.readAll()
		if err != nil || !there {
			return nil, err
		}
		r, err := c.runtime()
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(r.ConfDir, "10-flannel.conflist")); err == nil {
			return nil, nil
		}
		return r, nil
	}
}

// readAll reads the main file and what it imports, the importing file before the imported ones, as
// containerd does. It reports whether the main file is there.
func (c *containerd) readAll() (there bool, err error) {
	seen := map[string]bool{}
	for pending := []string{c.main}; len(pending) > 0; pending = pending[1:] {
		path := pending[0]
		if seen[path] {
			continue
		}
		seen[path] = true
		t, ok, err := c.read(path)
		switch {
		case err != nil:
			return there, err
		case !ok && path != c.main:
			return there, c.fault(c.main, "imports %s, which is not there: containerd does not start", path)
		case !ok:
			continue
		}
		there = true
		imports, err := c.add(path, t)
		if err != nil {
			return there, err
		}
		if pending = append(pending, imports...); len(pending) > mostImports {
			return there, c.fault(c.main, "imports more than %d files", mostImports)
		}
	}
	return there, nil
}

func isCRI(plugin string) bool { return slices.Contains([]string{criV1, criV2, criV3}, plugin) }

// add takes over what one file says, and returns what it imports.
func (c *containerd) add(path string, t table) ([]string, error) {
	version, imports, disabled := 0, []string{}, []string{}
	err := cmp.Or(c.number(path, t, "version", &version), c.texts(path, t, "imports", &imports),
		c.texts(path, t, "disabled_plugins", &disabled))
	if err != nil {
		return nil, err
	}
	if path == c.main {
		c.version, c.modern = version, version > 2 || c.isModern()
	}
	c.disabled = append(c.disabled, disabled...)
	names := []string{criV2, criV1}
	if version > 2 {
		names = []string{criV3}
	}
	for _, name := range names {
		section, is := t.sub("plugins")[name]
		if !is {
			continue
		}
		cni := table{name: section}.sub(name, "cni")
		if len(cni) > 0 && version > 0 && (version > 2) != (c.version > 2) {
			return nil, c.fault(path,
				"its version is not that of %s, and releases of containerd differ about such a file", c.main)
		}
		if c.modern {
			for k, v := range cni { // field by field
				c.cni[k], c.said = v, path
			}
		} else if c.cni, c.said = cni, path; len(cni) == 0 { // containerd 1 takes a file's whole section instead of the one before
			c.cni, c.said = table{}, ""
		}
		break
	}
	return c.resolve(path, imports)
}

// resolve finds imported files: a pattern stands for those that match it, a relative path begins at
// the importing file.
func (c *containerd) resolve(parent string, imports []string) ([]string, error) {
	var out []string
	for _, path := range imports {
		if filepath.IsAbs(path) {
			path = c.at(path)
		} else {
			path = filepath.Join(filepath.Dir(parent), path)
		}
		if !strings.Contains(path, "*") {
			out = append(out, path)
			continue
		}
		matches, err := filepath.Glob(path)
		if err != nil {
			return nil, c.fault(parent, "imports a pattern that is not valid")
		}
		out = append(out, matches...)
	}
	return out, nil
}

// isModern reports whether the program that is installed is containerd 2, by what its compiler has
// written into it.
func (c *containerd) isModern() bool {
	if c.program == "" {
		return false
	}
	info, err := buildinfo.ReadFile(c.program)
	return err == nil && strings.HasPrefix(info.Path, "github.com/containerd/containerd/v2/")
}

// runtime is what the configuration comes to.
func (c *containerd) runtime() (*Runtime, error) {
	r := &Runtime{Name: c.reader.runtime, Config: c.said, MaxConfs: 1, CRI: true}
	dir, dirs, conf := "", []string{}, DefaultConfDir
	path := cmp.Or(c.said, c.main)
	err := cmp.Or(c.text(path, c.cni, "bin_dir", &dir), c.texts(path, c.cni, "bin_dirs", &dirs),
		c.text(path, c.cni, "conf_dir", &conf),
		c.number(path, c.cni, "max_conf_num", &r.MaxConfs))
	if err != nil {
		return nil, err
	}
	if !c.modern && dir != "" {
		dirs = nil // containerd 1 does not know the field
	}
	switch {
	case dir != "" && len(dirs) > 0:
		return nil, c.fault(path, "bin_dir and bin_dirs are both set, and containerd takes one of them")
	case dir != "":
		dirs = []string{dir}
	case len(dirs) == 0:
		dirs = []string{DefaultPluginDir}
	}
	return r, c.place(r, path, conf, dirs)
}
