package ipam

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// The store reads and writes small files, several in each call of a plugin. Package os would offer
// each to the runtime's poller first, which takes five more system calls and, where the poller
// takes it, a thread.

// readFile is the content of a file of less than 4 KiB, which all of the store's are. What somebody
// else has put in a file's place is an error, or empty, and nothing to wait for.
func readFile(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	b := make([]byte, 4096)
	n, err := unix.Read(fd, b)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return b[:n], nil
}

// writeNew makes a file: fs.ErrExist.
func writeNew(path, content string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "create", Path: path, Err: err}
	}
	return errors.Join(writeAll(fd, path, content), unix.Close(fd))
}

// overwrite replaces a file's content in place, which is faster than a new file and may be torn by
// a crash of the machine.
func overwrite(path, content string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return errors.Join(writeAll(fd, path, content), unix.Ftruncate(fd, int64(len(content))), unix.Close(fd))
}

func writeAll(fd int, path, content string) error {
	n, err := unix.Write(fd, []byte(content))
	if err == nil && n < len(content) {
		err = unix.ENOSPC
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// place gives a file its final name, which must be free: fs.ErrExist. Where the file system cannot
// do that in one step, a second name is made and the first removed.
func place(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS {
		err = errors.Join(os.Link(from, to), os.Remove(from))
	}
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", from, to, err)
	}
	return nil
}

// remove takes a file that is not there for removed.
func remove(path string) error {
	if err := unix.Unlink(path); err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}
