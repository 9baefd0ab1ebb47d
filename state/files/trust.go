package files

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/podnet/podnet/state/shell"
)

// Untrusted is a file or directory that decides over the network and that somebody other than root
// can change.
type Untrusted struct {
	Path   string
	Why    string
	Remedy string
}

// Trust looks at who can change files, or put others in their places: each file, what a symbolic
// link leads to, and every directory on the way to either. A file that is not there is as good as
// its directories.
func Trust(paths ...string) []Untrusted {
	var out []Untrusted
	seen := map[string]bool{}
	check := func(p string) {
		for ; !seen[p]; p = filepath.Dir(p) {
			seen[p] = true
			if info, err := os.Lstat(p); err == nil {
				out = append(out, untrusted(p, info)...)
			}
		}
	}
	for _, path := range paths {
		check(path)
		if real, err := filepath.EvalSymlinks(path); err == nil {
			check(real)
		}
	}
	return out
}

// untrusted: whoever owns a directory can give himself the right to write in it. In a sticky one
// nobody replaces another's files. A symbolic link has no mode. In a user namespace nobody has the
// id that stands for owners from outside of it.
func untrusted(path string, info fs.FileInfo) []Untrusted {
	var out []Untrusted
	add := func(remedy, format string, args ...any) {
		out = append(out, Untrusted{path, fmt.Sprintf(format, args...), remedy + " " + shell.Quote(path)})
	}
	owner := info.Sys().(*syscall.Stat_t)
	if owner.Uid != 0 && mapped("uid", owner.Uid) {
		add("chown -h root", "belongs to uid %d, who can change it", owner.Uid)
	}
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0 || sticky:
	case mode&0o002 != 0:
		add("chmod go-w", "can be changed by every user of this host (mode %04o)", mode.Perm())
	case mode&0o020 != 0 && owner.Gid != 0 && mapped("gid", owner.Gid):
		add("chmod g-w", "can be changed by group %d (mode %04o)", owner.Gid, mode.Perm())
	}
	return out
}

// mapped reports whether a user or group ("uid", "gid") with an id can be in this process's user
// namespace.
func mapped(kind string, id uint32) bool {
	ranges, err := os.ReadFile("/proc/self/" + kind + "_map")
	return err != nil || holds(string(ranges), id)
}

// holds looks an id up in lines of a uid_map: the first id inside, the first one outside, how many.
func holds(ranges string, id uint32) bool {
	for line := range strings.Lines(ranges) {
		var first, outside, count uint64
		_, err := fmt.Sscan(line, &first, &outside, &count)
		if err == nil && uint64(id) >= first && uint64(id) < first+count {
			return true
		}
	}
	return false
}
