package runtimes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
	"github.com/podnet/podnet/state/files"
)

// reader reads the files of one runtime.
type reader struct {
	root    string
	runtime string
}

// mostConfig is how long a configuration file may be, bytes: containerd's with every default has
// some 10,000.
const mostConfig = 1 << 20

// at is a path of the host below the root.
func (f *reader) at(path string) string { return filepath.Join(f.root, path) }

// installed reports whether one of the directories where packages put programs has this one.
func (f *reader) installed(program string) bool { return f.program(program) != "" }

func (f *reader) program(name string) string {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		path := f.at(filepath.Join(dir, name))
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// table is a table of a TOML file that was read.
type table map[string]any

// read reads a file; ok: it is there.
func (f *reader) read(path string) (t table, ok bool, err error) {
	data, err := files.ReadFile(path, mostConfig)
	if errors.Is(err, fs.ErrNotExist) && !f.dangles(path) {
		return nil, false, nil
	}
	if err != nil {
		return nil, true, f.unreadable(path, err)
	}
	if err := toml.Unmarshal(data, (*map[string]any)(&t)); err != nil {
		fault := f.fault(path, "is not valid TOML")
		if at := new(toml.DecodeError); errors.As(err, &at) { // what it says itself quotes the file
			fault.Line, _ = at.Position()
			fault.Problem = "this line is not valid TOML"
		}
		return nil, true, fault
	}
	return t, true, nil
}

// dangles reports whether a file that is not there has a name that leads nowhere.
func (f *reader) dangles(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (f *reader) fault(path, format string, args ...any) Fault {
	return Fault{Runtime: f.runtime, Path: path, Problem: fmt.Sprintf(format, args...)}
}

func (f *reader) unreadable(path string, err error) Fault {
	fault := f.fault(path, "cannot be read: %v", err)
	if p := new(fs.PathError); errors.As(err, &p) {
		fault.Problem = "cannot be read: " + p.Err.Error()
	}
	fault.Denied = errors.Is(err, fs.ErrPermission)
	return fault
}

// sub is a table inside of another; an empty one if there is none.
func (t table) sub(names ...string) table {
	for _, name := range names {
		inner, _ := t[name].(map[string]any)
		t = inner
	}
	return t
}

// text takes a field over, if it is there. An empty one counts as set.
func (f *reader) text(path string, t table, name string, to *string) error {
	value, is := t[name]
	if !is {
		return nil
	}
	s, ok := value.(string)
	if !ok {
		return f.fault(path, "%s is not a text", name)
	}
	*to = s
	return nil
}

// texts takes a list over, if it is there.
func (f *reader) texts(path string, t table, name string, to *[]string) error {
	value, is := t[name]
	if !is {
		return nil
	}
	list, ok := value.([]any)
	out := []string{}
	for _, element := range list {
		s, is := element.(string)
		ok, out = ok && is, append(out, s)
	}
	if !ok {
		return f.fault(path, "%s is not a list of texts", name)
	}
	*to = out
	return nil
}

// number takes a whole number over, if it is there.
func (f *reader) number(path string, t table, name string, to *int) error {
	value, is := t[name]
	if !is {
		return nil
	}
	n, ok := value.(int64)
	if !ok {
		return f.fault(path, "%s is not a number", name)
	}
	*to = int(n)
	return nil
}

// place tells a runtime its directories, which the file at path names, below the root.
func (f *reader) place(r *Runtime, path, conf string, plugins []string) error {
	for _, dir := range append([]string{conf}, plugins...) {
		if !filepath.IsAbs(dir) {
			return f.fault(path, "a directory for CNI is not an absolute path")
		}
	}
	if len(plugins) == 0 {
		return f.fault(path, "it names no directory for CNI plugins")
	}
	r.ConfDir = f.at(conf)
	for _, dir := range plugins {
		r.PluginDirs = append(r.PluginDirs, f.at(dir))
	}
	return nil
}
