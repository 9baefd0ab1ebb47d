package main

import (
	"bytes"
	"debug/buildinfo"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/state"
)

// plugins are those that podnet brings.
func plugins() []string { return []string{"bridge", "host-local", "loopback", "portmap"} }

// executable says that root, as whom runtimes call plugins, can execute a file: somebody may.
func executable(info fs.FileInfo) bool { return info.Mode().IsRegular() && info.Mode()&0o111 != 0 }

// module is where podnet's programs are built from.
const module = "github.com/podnet/podnet"

// ours says whether a program was built from podnet's source.
func ours(path string) bool {
	info, err := buildinfo.ReadFile(path)
	return err == nil && (info.Main.Path == module || strings.HasPrefix(info.Path, module+"/"))
}

// pluginPrograms knows the versions of programs that it was asked about before, for a screen that is drawn again and again.
type pluginPrograms map[string]pluginProgram

// pluginProgram is what a file was when it was asked.
type pluginProgram struct {
	info    fs.FileInfo
	ours    bool
	version string // "": it does not say
}

// look looks at the runtime's plugins for a person.
func (known pluginPrograms) look(dir string) screen.Plugins {
	var p screen.Plugins
	for _, name := range plugins() {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			p.Missing = append(p.Missing, name)
			continue
		case !executable(info):
			p.Locked = append(p.Locked, path)
			continue
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
			p.Foreign = append(p.Foreign, name)
		case before.version != "" && !slices.Contains(p.Versions, before.version):
			p.Versions = append(p.Versions, before.version)
		}
	}
	return p
}

// pluginVersion reads the version that the linker has written into one of podnet's plugins: podnet-plugin[VERSION]. The file
// is not executed, because whoever may run podnetctl as root may be able to choose it. "": it does not say.
func pluginVersion(path string) string {
	const (
		mostPlugin  = 64 << 20
		mostVersion = 100
	)
	data, err := state.ReadFile(path, mostPlugin)
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
