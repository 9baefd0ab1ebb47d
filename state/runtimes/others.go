package runtimes

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/podnet/podnet/state/files"
)

// readCRIO reads crio.conf, then every file below crio.conf.d in the order of their paths; the last
// word counts.
func readCRIO(f *reader) (*Runtime, error) {
	f.runtime = "CRI-O"
	r := &Runtime{Name: f.runtime, MaxConfs: 1, CRI: true}
	conf, dirs, another := DefaultConfDir, []string{DefaultPluginDir}, ""
	paths, err := f.below("/etc/crio/crio.conf", "/etc/crio/crio.conf.d", "")
	if err != nil {
		return nil, err
	}
	there := f.installed("crio")
	for _, path := range paths {
		t, ok, err := f.read(path)
		if err != nil {
			return nil, err
		}
		there = there || ok
		network := t.sub("crio", "network")
		err = cmp.Or(f.text(path, network, "network_dir", &conf), f.texts(path, network, "plugin_dirs", &dirs),
			f.text(path, network, "plugin_dir", &another), f.text(path, network, "cni_default_network", &r.Network))
		if err != nil {
			return nil, err
		}
		if len(network) > 0 {
			r.Config = path
		}
	}
	if !there {
		return nil, nil
	}
	if another != "" { // an older name, which comes last
		dirs = append(dirs, another)
	}
	return r, f.place(r, cmp.Or(r.Config, f.at("/etc/crio/crio.conf")), conf, dirs)
}

// readNerdctl reads nerdctl.toml. Without a word in it nerdctl takes the first of the usual
// directories that is there.
func readNerdctl(f *reader) (*Runtime, error) {
	f.runtime = "nerdctl"
	path := f.at("/etc/nerdctl/nerdctl.toml")
	t, there, err := f.read(path)
	if err != nil || !there && !f.installed("nerdctl") {
		return nil, err
	}
	r := &Runtime{Name: f.runtime}
	dir, conf := f.usual(), DefaultConfDir
	if err := cmp.Or(f.text(path, t, "cni_path", &dir), f.text(path, t, "cni_netconfpath", &conf)); err != nil {
		return nil, err
	}
	if _, said := t["cni_path"]; said {
		r.Config = path
	}
	if _, said := t["cni_netconfpath"]; said {
		r.Config = path
	}
	return r, f.place(r, path, conf, []string{dir})
}

func (f *reader) usual() string {
	for _, dir := range []string{DefaultPluginDir, "/usr/local/libexec/cni", "/usr/local/lib/cni", "/usr/libexec/cni",
		"/usr/lib/cni"} {
		if isDir(f.at(dir)) {
			return dir
		}
	}
	return DefaultPluginDir
}

// readPodman reads containers.conf, the distribution's before the administrator's, and its
// drop-ins. Podman uses netavark and not CNI unless it is told otherwise, or has remembered that it
// did at its first start.
func readPodman(f *reader) (*Runtime, error) {
	f.runtime = "podman"
	r := &Runtime{Name: f.runtime}
	backend, conf := "", DefaultConfDir
	dirs := []string{"/usr/local/libexec/cni", "/usr/libexec/cni", "/usr/local/lib/cni", "/usr/lib/cni", DefaultPluginDir}
	paths, err := f.below("/etc/containers/containers.conf", "/etc/containers/containers.conf.d", ".conf")
	if err != nil {
		return nil, err
	}
	for _, path := range append([]string{f.at("/usr/share/containers/containers.conf")}, paths...) {
		t, _, err := f.read(path)
		if err != nil {
			return nil, err
		}
		network := t.sub("network")
		err = cmp.Or(f.text(path, network, "network_backend", &backend), f.texts(path, network, "cni_plugin_dirs", &dirs),
			f.text(path, network, "network_config_dir", &conf))
		if err != nil {
			return nil, err
		}
		if len(network) > 0 {
			r.Config = path
		}
	}
	if cmp.Or(backend, f.remembered()) != "cni" {
		return nil, nil
	}
	return r, f.place(r, cmp.Or(r.Config, f.at("/etc/containers/containers.conf")), cmp.Or(conf, DefaultConfDir), dirs)
}

// remembered is the network backend that podman has noted at its first start.
func (f *reader) remembered() string {
	const most = 64
	note, err := files.ReadFile(f.at("/var/lib/containers/storage/defaultNetworkBackend"), most)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(note))
}

// below lists a file and, behind it, those of a directory of drop-ins with a suffix, in the order
// of their paths.
func (f *reader) below(file, dropIns, suffix string) ([]string, error) {
	paths, dir := []string{f.at(file)}, f.at(dropIns)
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) && !f.dangles(dir) {
		return paths, nil
	}
	if err != nil {
		return nil, f.unreadable(dir, err)
	}
	err = filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return f.unreadable(path, err)
		case !d.IsDir() && strings.HasSuffix(path, suffix):
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
}
