// Package options are the flags that podnetd and podnetctl share. A flag comes before the
// environment (PODNET_ and the flag's name in upper case, dashes as underscores), and that before
// /etc/default/podnetd.
package options

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/cni/hostports"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
	"github.com/spf13/pflag"
)

// MayBeEmpty annotates a flag to which an empty value says something: elsewhere it counts as not
// given.
const MayBeEmpty = "may-be-empty"

// Options are the shared flags as given.
type Options struct {
	flags                            *pflag.FlagSet
	topology, node, root             string
	named                            string // the topology before its path was completed
	cniConfDir, cniConfName, cniBins string
}

// Register adds the flags to a set. topologyShorthand is "f", or "" for none.
func Register(flags *pflag.FlagSet, topologyShorthand string) *Options {
	o := &Options{flags: flags}
	paths := state.DefaultPaths("")
	flags.StringVarP(&o.topology, "topology", topologyShorthand, paths.Topology, "the cluster topology `FILE`")
	flags.StringVar(&o.node, "node", "", "`NAME` of this node in the topology (default: found by host name or address)")
	flags.StringVar(&o.root, "root", "", "`DIR` in front of every default path")
	flags.StringVar(&o.cniConfDir, "cni-conf-dir", filepath.Dir(paths.Conflist),
		"`DIR` where the container runtime reads CNI configuration")
	flags.StringVar(&o.cniConfName, "cni-conf-name", filepath.Base(paths.Conflist), "`NAME` of the conflist there")
	flags.StringVar(&o.cniBins, "cni-bin-dir", "",
		"`DIR` where the container runtime looks for CNI plugins (default: where this host's runtimes look by their own configuration, or /opt/cni/bin)")
	return o
}

// Given are the options as another process of the same program needs them, wherever it runs; after
// Resolve.
func (o *Options) Given() []string {
	var args []string
	o.flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

// Topology is the topology file as whoever said which called it; ok: somebody has.
func (o *Options) Topology() (name string, ok bool) { return o.named, o.flags.Changed("topology") }

// Resolve fills in from the environment and the defaults file every flag of the set that was not
// given, and returns what they come to. A value that its flag cannot hold, a defaults file that
// cannot be read: an error that names it.
func (o *Options) Resolve(env func(string) (string, bool)) (agent.Settings, error) {
	if err := o.fill("the environment", env); err != nil {
		return agent.Settings{}, err
	}
	root, err := filepath.Abs(cmp.Or(o.root, "/"))
	if err != nil {
		return agent.Settings{}, err
	}
	file := state.DefaultPaths(root).Defaults
	defaults, err := readDefaults(file)
	if err != nil {
		return agent.Settings{}, err
	}
	known := func(name string) (string, bool) { value, is := defaults[name]; return value, is }
	if err := o.fill(file, known); err != nil {
		return agent.Settings{}, err
	}
	if name := o.cniConfName; filepath.Base(name) != name || filepath.Ext(name) != ".conflist" {
		return agent.Settings{},
			fmt.Errorf("--cni-conf-name %q: a file name that ends in .conflist, such as 10-podnet.conflist: runtimes read no other as a list", name)
	}
	o.named = o.topology
	for _, path := range []*string{&o.topology, &o.root, &o.cniConfDir, &o.cniBins} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil { // the watch and the conflist need whole paths
			return agent.Settings{}, err
		}
	}
	return agent.Settings{Paths: o.paths(), Node: o.node, HostPorts: hostports.Keeper{}}, nil
}

// fill sets what nobody has set yet.
func (o *Options) fill(where string, lookup func(string) (string, bool)) error {
	var errs error
	o.flags.VisitAll(func(f *pflag.Flag) {
		name := "PODNET_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, is := lookup(name)
		_, mayBeEmpty := f.Annotations[MayBeEmpty]
		if is && (value != "" || mayBeEmpty) && !f.Changed && f.Name != "version" && f.Name != "help" {
			if err := o.flags.Set(f.Name, value); err != nil {
				errs = errors.Join(errs, fmt.Errorf("%s in %s: %w", name, where, FlagError(err)))
			}
		}
	})
	return errs
}

// FlagError says what a flag can hold if it cannot hold a value: the flag package's own words are
// for Go programmers.
func FlagError(err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) && slices.Contains([]string{"duration", "address"}, invalid.GetFlag().Value.Type()) {
		return fmt.Errorf("--%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), invalid.Unwrap())
	}
	return err
}

// paths: a path that was given stands as it is; --root is in front of the defaults alone.
func (o *Options) paths() state.Paths {
	p := state.DefaultPaths(o.root)
	given := func(name, value, otherwise string) string {
		if o.flags.Changed(name) {
			return value
		}
		return otherwise
	}
	p.Topology = given("topology", o.topology, p.Topology)
	p.PluginDir = given("cni-bin-dir", o.cniBins, p.PluginDir)
	p.Conflist = filepath.Join(given("cni-conf-dir", o.cniConfDir, filepath.Dir(p.Conflist)), o.cniConfName)
	return p
}

// mostDefaults is how long a defaults file may be, bytes.
const mostDefaults = 64 << 10

// readDefaults reads NAME=value lines, as systemd's EnvironmentFile does: blank lines and comments
// are skipped, a value may be quoted.
func readDefaults(path string) (map[string]string, error) {
	b, err := files.ReadFile(path, mostDefaults)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	number := 0
	for line := range strings.Lines(string(b)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("%s:%d: this line is not NAME=value", path, number) // not shown: it may be another file
		}
		values[strings.TrimSpace(name)] = unquote(strings.TrimSpace(value))
	}
	return values, nil
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
