package files

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/shell"
)

// ReplaceFile puts a whole new file in the place of another: a reader sees the old bytes or the new
// ones, also after a power cut. The temporary file is in the same directory, because a container
// runtime ignores a conflist that is renamed in from elsewhere, and its name is one that nobody
// takes for configuration. It is always the same name, so that what a killed process has left is
// used up by the next or found by RemoveTemporary; writers at the same time wait for each other,
// but not for ever: nobody who keeps the temporary file locked stops a daemon. Directories that are
// missing are made.
func ReplaceFile(path string, data []byte, mode os.FileMode) error {
	return replace(path, data, mode, nil)
}

// ReplaceFileLike is ReplaceFile with the mode of another file and, as far as this user may give
// files away, its owner.
func ReplaceFileLike(path string, data []byte, like fs.FileInfo) error {
	owner, _ := like.Sys().(*syscall.Stat_t)
	return replace(path, data, like.Mode().Perm(), owner)
}

func replace(path string, data []byte, mode os.FileMode, owner *syscall.Stat_t) error {
	if err := MakeDir(filepath.Dir(path)); err != nil {
		return err
	}
	tmp := temporary(path)
	f, err := openTemporary(tmp)
	if err != nil {
		return err
	}
	defer f.Close() // which lets the next writer in; written data have been synced
	if err = writeSynced(f, data, owner); err == nil {
		err = f.Chmod(mode) // at the last moment: until then nobody else can open the file, and lock it
	}
	if err == nil {
		err = rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return SyncDir(filepath.Dir(path))
}

// rename is os.Rename, which does not say what is in the way.
func rename(from, to string) error {
	err := os.Rename(from, to)
	if err != nil {
		err = cmp.Or(InTheWay(to), err)
	}
	return err
}

// InTheWay says what there is in the place of a file that is no file, and how to get it out of the
// way. It returns nil if there is nothing, a file or a link.
func InTheWay(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().IsRegular() || info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	return fmt.Errorf("%w (move it away: mv %s %s)", NoFileError(path, info.Mode()), shell.Quote(path),
		shell.Quote(path+".old"))
}

func temporary(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
}

// RemoveTemporary removes what a process that was killed in ReplaceFile has left beside path, if
// there is anything. The file of one that is at it stays, and so does another user's.
func RemoveTemporary(path string) error {
	tmp := temporary(path)
	f, err := os.OpenFile(tmp, os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil // somebody writes it
	}
	if same, own, err := whose(f); err != nil || !same || !own {
		return err
	}
	return os.Remove(tmp)
}

// How long a writer waits for another one. It is longer where the lock can only be a writer's of
// the same user, who may be waiting for a disk. A file that others can open too was left by a
// writer that was killed between its last two steps: the lock is anybody's, and a live writer would
// let it go at once.
const (
	writerPatience   = 10 * time.Second
	squatterPatience = time.Second
	temporaryPause   = 20 * time.Millisecond
)

// openTemporary makes the file, or takes it over from a writer that has ended. What another user
// has made, or a link or a pipe, is removed, not written into: its maker would own what is put in
// place, such as a bundle below /tmp.
func openTemporary(path string) (*os.File, error) {
	for began := time.Now(); ; {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
		if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		use, err := takeTemporary(f, time.Since(began))
		if use {
			return f, nil
		}
		f.Close() // nothing was written
		if err != nil {
			return nil, err
		}
	}
}

// takeTemporary locks an opened temporary file, and reports whether it is this writer's now. If it
// is not, and there is no error, the file is gone, or may be free after another look. waited is how
// long the writer has been looking.
func takeTemporary(f *os.File, waited time.Duration) (use bool, err error) {
	same, own, err := whose(f)
	if err != nil || !same { // the writer before has put it in place
		return false, err
	}
	if !own { // the lock of another user's may never be let go
		return false, os.Remove(f.Name())
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		same, own, err = whose(f)
		return same && own, err
	}
	info, bad := f.Stat()
	switch {
	case !errors.Is(err, unix.EWOULDBLOCK) || bad != nil:
		return false, fmt.Errorf("lock %s: %w", f.Name(), errors.Join(err, bad))
	case info.Mode().Perm()&0o077 != 0 && waited > squatterPatience:
		return false, os.Remove(f.Name())
	case waited > writerPatience:
		return false, fmt.Errorf("another process has been writing %s for %s (fuser -v %s  finds it)", f.Name(),
			writerPatience, f.Name())
	}
	time.Sleep(temporaryPause)
	return false, nil
}

// whose says of an open file whether its name still leads to it, and whether it is this user's
// alone.
func whose(f *os.File) (same, own bool, err error) {
	opened, err := f.Stat()
	if err != nil {
		return false, false, err
	}
	there, gone := os.Lstat(f.Name())
	return gone == nil && os.SameFile(opened, there), isOwn(opened), nil
}

// isOwn says that a file is this user's alone: no other owner, no other name.
func isOwn(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && int(s.Uid) == os.Geteuid() && s.Nlink == 1
}

// writeSynced does all by the open file: once it is in place, whoever may write the directory
// decides where its name leads.
func writeSynced(f *os.File, data []byte, owner *syscall.Stat_t) error {
	err := f.Truncate(0)
	if err == nil {
		_, err = f.Write(data)
	}
	if err = errors.Join(err, f.Chmod(0o600), give(f, owner), f.Sync()); err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return nil
}

// give makes a file another user's, nil: nobody's. podnetd may give no file away, and replaces it
// all the same.
func give(f *os.File, owner *syscall.Stat_t) error {
	if owner == nil || int(owner.Uid) == os.Geteuid() && int(owner.Gid) == os.Getegid() {
		return nil
	}
	if err := f.Chown(int(owner.Uid), int(owner.Gid)); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// MakeDir makes a directory and those above it that are missing, so that they are there after a
// power cut.
func MakeDir(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MakeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// SyncDir makes what was made, renamed and removed in a directory last over a power cut.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// NoFileError says what lies where a regular file has to be.
func NoFileError(path string, mode fs.FileMode) error {
	is := "device"
	switch {
	case mode.IsDir():
		is = "directory"
	case mode&fs.ModeNamedPipe != 0:
		is = "pipe"
	case mode&fs.ModeSocket != 0:
		is = "socket"
	}
	return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("is a %s, not a file", is)}
}

// ReadFile reads a file that has to be one, and no longer than most: a pipe in its place would hold
// the reader up for ever, and nobody may fill the memory of a daemon that runs as root.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, NoFileError(path, info.Mode())
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("is longer than %d bytes", most)}
	}
	return data, err
}
