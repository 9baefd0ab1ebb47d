package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	settle = 50 * time.Millisecond // a file may be written in several steps
	poll   = 10 * time.Second      // file systems that announce nothing: NFS, FUSE, a directory that comes back
)

// WatchFiles sends on the returned channel whenever one of the files may have changed, until ctx
// ends. A change of a symbolic link or a directory on the way to a file counts as well. The value
// says nothing about what has changed: the receiver reads the files again.
//
// A host with many containers may have no inotify instance left. Then WatchFiles polls the files
// and logs that it does, until it gets an instance.
func WatchFiles(ctx context.Context, log *slog.Logger, paths ...string) <-chan struct{} {
	f := &fileWatch{log: log, paths: paths, stamps: map[string]string{}, complained: map[string]bool{}}
	pokes := make(chan struct{}, 1)
	f.arm()
	f.changed()
	go f.run(ctx, pokes)
	return pokes
}

type fileWatch struct {
	log        *slog.Logger
	paths      []string
	watcher    *fsnotify.Watcher // nil: there is none to be had yet
	names      map[string]bool   // every name on the way to a path: an event for another is none of ours
	stamps     map[string]string // what the files looked like
	complained map[string]bool   // of directories that cannot be watched; "": of all
}

func (f *fileWatch) run(ctx context.Context, pokes chan<- struct{}) {
	defer func() {
		if f.watcher != nil {
			f.watcher.Close()
		}
	}()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	var quiet <-chan time.Time
	for {
		var events <-chan fsnotify.Event
		var failures <-chan error
		if f.watcher != nil {
			events, failures = f.watcher.Events, f.watcher.Errors
		}
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				return
			}
			if f.names[e.Name] && quiet == nil {
				quiet = time.After(settle)
			}
		case err := <-failures: // such as an overflow: anything may have changed
			f.log.Warn("file watch", "error", err)
			quiet = time.After(settle)
		case <-ticker.C:
			f.arm()
			if f.changed() {
				poke(pokes)
			}
		case <-quiet:
			quiet = nil
			f.arm()
			f.changed()
			poke(pokes)
		}
	}
}

func poke(pokes chan<- struct{}) {
	select {
	case pokes <- struct{}{}:
	default:
	}
}

// changed says whether a file looks different from the last time.
func (f *fileWatch) changed() bool {
	different := false
	for _, p := range f.paths {
		stamp := ""
		if info, err := os.Stat(p); err == nil {
			stamp = fmt.Sprint(info.ModTime(), info.Mode(), info.Size())
		}
		different = different || f.stamps[p] != stamp
		f.stamps[p] = stamp
	}
	return different
}

// arm watches every directory on the way to every path as it now is; those that are watched already
// stay.
func (f *fileWatch) arm() {
	names, dirs := map[string]bool{}, map[string]bool{}
	for _, p := range f.paths {
		walk(p, names, dirs, 0)
	}
	f.names = names
	if !f.open() {
		return
	}
	for _, d := range f.watcher.WatchList() {
		if !dirs[d] {
			_ = f.watcher.Remove(d) // it may be gone with the directory
		}
		delete(dirs, d)
	}
	for d := range dirs {
		if err := f.watcher.Add(d); err != nil && !errors.Is(err, fs.ErrNotExist) && !f.complained[d] {
			f.complained[d] = true // once: it is tried again at every poll
			f.log.Warn("directory not watched, its files are polled", "directory", d, "error", err)
		}
	}
}

// open makes the watcher if there is none; it is tried again at every poll.
func (f *fileWatch) open() bool {
	if f.watcher != nil {
		return true
	}
	w, err := fsnotify.NewWatcher()
	if err == nil {
		f.watcher = w
		return true
	}
	if !f.complained[""] {
		f.complained[""] = true
		f.log.Warn("files are polled, not watched, until there is an inotify instance to spare (sysctl fs.inotify.max_user_instances is how many a user can have)", "error", err)
	}
	return false
}

// walk notes each name on the way to path and the directory that holds it, through symbolic links.
func walk(path string, names, dirs map[string]bool, depth int) {
	const deepest = 40 // as the kernel's
	if depth > deepest {
		return
	}
	dir := "/"
	rest := strings.Split(strings.Trim(filepath.Clean(path), "/"), "/")
	for i, part := range rest {
		name := filepath.Join(dir, part)
		names[name], dirs[dir] = true, true
		if target, err := os.Readlink(name); err == nil {
			if !filepath.IsAbs(target) {
				target = filepath.Join(dir, target)
			}
			walk(filepath.Join(append([]string{target}, rest[i+1:]...)...), names, dirs, depth+1)
			return
		}
		dir = name
	}
}
