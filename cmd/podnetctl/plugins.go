package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/doctor"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/runtimes"
)

// plugins are those that podnet brings.
func plugins() []string { return []string{"bridge", "host-local", "loopback", "portmap"} }

// lookups are what the host's container runtimes find of podnet's plugins. A directory that a flag
// names is looked at too, and on a host without a runtime that of the runtimes' defaults.
func lookups(p state.Paths) doctor.Runtimes {
	host := runtimes.Read(p.Root)
	dirs := []string{}
	switch {
	case p.PluginDir != "":
		dirs = []string{p.PluginDir}
	case len(host.Runtimes)+len(host.Faults) == 0:
		dirs = host.Targets(p.Root)
	}
	confDir := filepath.Dir(p.Conflist)
	all := doctor.Runtimes{Faults: host.Faults}
	for _, dir := range dirs {
		if !slices.ContainsFunc(host.Runtimes, func(r runtimes.Runtime) bool { return r.Searches(dir) }) {
			all.Lookups = append(all.Lookups,
				runtimes.Runtime{PluginDirs: dirs, ConfDir: confDir}.Look(p.Root, confDir, plugins()))
		}
	}
	for _, r := range host.Runtimes {
		all.Lookups = append(all.Lookups, r.Look(p.Root, confDir, plugins()))
	}
	return all
}

// troubles are what keeps runtimes from podnet's plugins and conflist, a sentence each. network is
// the name in the conflist, "": nobody knows.
func troubles(p state.Paths, network string, found doctor.Runtimes) (plugins, others []string) {
	for _, f := range doctor.CheckRuntimes(doctor.Subject{Paths: p, Network: network, Runtimes: found}) {
		said := fmt.Sprintf("%s (%s): %s", f.Object, f.Owner, f.Message)
		if f.ID == doctor.PluginMissing || f.ID == doctor.PluginLocked {
			plugins = append(plugins, said+": "+f.Remedy)
		} else {
			others = append(others, said+": podnetctl doctor")
		}
	}
	for _, fault := range found.Faults {
		if fault.Denied {
			others = append(others, fmt.Sprintf("where %s looks is not known: %v", fault.Runtime, fault))
		}
	}
	return plugins, others
}

// module is where podnet's programs are built from.
const module = "github.com/podnet/podnet"

// ours says whether a program was built from podnet's source.
func ours(path string) bool {
	info, err := buildinfo.ReadFile(path)
	return err == nil && (info.Main.Path == module || strings.HasPrefix(info.Path, module+"/"))
}

// pluginPrograms knows the versions of programs that it was asked about before, for a screen that
// is drawn again and again.
type pluginPrograms map[string]pluginProgram

// pluginProgram is what a file was when it was asked.
type pluginProgram struct {
	info    fs.FileInfo
	ours    bool
	version string // "": it does not say
}

// look looks at the plugins that runtimes find, for a person.
func (known pluginPrograms) look(all []runtimes.Lookup) screen.Plugins {
	p := screen.Plugins{Unknown: len(all) == 0}
	for _, l := range all {
		if len(l.Missing) > 0 && len(p.Missing) == 0 {
			p.Missing, p.Where = l.Missing, strings.Join(l.PluginDirs, ", ")
		}
		for _, path := range l.Found {
			switch {
			case slices.Contains(l.Locked, path):
				p.Locked = including(p.Locked, path)
			default:
				known.lookAt(path, &p)
			}
		}
	}
	return p
}

func (known pluginPrograms) lookAt(path string, p *screen.Plugins) {
	info, err := os.Stat(path)
	if err != nil {
		return // gone in this moment
	}
	before, is := known[path]
	if !is || !os.SameFile(before.info, info) || !before.info.ModTime().Equal(info.ModTime()) {
		before = pluginProgram{info: info, ours: ours(path)}
		if before.ours {
			before.version = pluginVersion(path)
		}
		known[path] = before
	}
	switch {
	case !before.ours:
		p.Foreign = including(p.Foreign, filepath.Base(path))
	case before.version != "":
		p.Versions = including(p.Versions, before.version)
	}
}

// including is a list with one more element, unless that is in it.
func including(list []string, element string) []string {
	if slices.Contains(list, element) {
		return list
	}
	return append(list, element)
}

// pluginVersion reads the version that the linker has written into one of podnet's plugins:
// podnet-plugin[VERSION]. The file is not executed, because whoever may run podnetctl as root may
// be able to choose it. "": it does not say.
func pluginVersion(path string) string {
	const (
		mostPlugin  = 64 << 20
		mostVersion = 100
	)
	data, err := files.ReadFile(path, mostPlugin)
	if err != nil {
		return ""
	}
	_, rest, _ := bytes.Cut(data, []byte(pluginMark))
	version, _, closed := bytes.Cut(rest[:min(len(rest), mostVersion)], []byte("]"))
	if !closed || bytes.ContainsFunc(version, func(c rune) bool { return !unicode.IsGraphic(c) || c == ' ' }) {
		return ""
	}
	return string(version)
}

// pluginMark is what a plugin's version stands behind.
const pluginMark = "podnet-plugin["
