package host

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// setting is a line of a configuration file.
type setting struct{ section, key, value string }

// most is how much of a configuration file is read.
const most = 1 << 20

// parse reads an INI file as systemd and NetworkManager write them.
func parse(text string) []setting {
	var all []setting
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", line[0] == '#', line[0] == ';':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			all = append(all, setting{section: section})
		default:
			key, value, _ := strings.Cut(line, "=")
			all = append(all, setting{section, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return all
}

func readSettings(path string) []setting {
	f, err := os.Open(path)
	if err != nil {
		return nil // gone, or not for us to read: it counts as empty
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil
	}
	return parse(string(b))
}

// layers are systemd's directories, the most important first: a file hides those of its name in the
// others.
func layers(root string) []string {
	var out []string
	for _, dir := range []string{"/etc", "/run", "/usr/local/lib", "/usr/lib"} {
		out = append(out, filepath.Join(root, dir))
	}
	return out
}

// layered lists the files of a directory with a suffix over all layers, in the order of their
// names.
func layered(root, dir, suffix string) []string {
	byName := map[string]string{}
	for _, layer := range layers(root) {
		found, _ := filepath.Glob(filepath.Join(layer, dir, "*"+suffix)) // the pattern is sound
		for _, path := range found {
			if _, hidden := byName[filepath.Base(path)]; !hidden {
				byName[filepath.Base(path)] = path
			}
		}
	}
	var names []string
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []string
	for _, name := range names {
		out = append(out, byName[name])
	}
	return out
}

// withDropIns are a file's settings and, behind them, those of its drop-ins.
func withDropIns(root, path, dropIns string) []setting {
	all := readSettings(path)
	for _, more := range layered(root, dropIns, ".conf") {
		all = append(all, readSettings(more)...)
	}
	return all
}

// last is the value that counts; "": none.
func last(all []setting, section, key string) string {
	value := ""
	for _, s := range all {
		if s.section == section && s.key == key {
			value = s.value
		}
	}
	return value
}

// no says that a boolean is off.
func no(value string) bool {
	return slices.Contains([]string{"no", "false", "off", "0", "n", "f"}, strings.ToLower(value))
}

// yes says that a boolean is on.
func yes(value string) bool {
	return slices.Contains([]string{"yes", "true", "on", "1", "y", "t"}, strings.ToLower(value))
}
