package sysctl

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/podnet/podnet/state/device"
	"golang.org/x/sys/unix"
)

// Read is the value in the calling thread's network namespace.
func Read(path string) (string, error) { return read("/proc/sys/" + path) }

// Write sets it in the calling thread's network namespace and reads it back: some values are
// refused in silence. What is as wanted already is not written: /proc/sys may be read-only.
func Write(s device.Setting) error {
	file := "/proc/sys/" + s.Path
	if got, err := read(file); err != nil || got == s.Value {
		return err
	}
	if err := write(file, s.Value); err != nil {
		return err
	}
	got, err := read(file)
	if err == nil && got != s.Value {
		err = fmt.Errorf("%s is %s after %s was written", file, got, s.Value)
	}
	return err
}

// Put writes it without a look before and after. It is for what a device that was just made cannot
// have yet, and what the kernel takes whenever it takes the write.
func Put(s device.Setting) error { return write("/proc/sys/"+s.Path, s.Value) }

// read and write stay away from package os: it would have the runtime's poller watch the file,
// which it can, and wake a thread for it.
func read(file string) (string, error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: file, Err: err}
	}
	defer unix.Close(fd)
	b := make([]byte, 256)
	n, err := unix.Read(fd, b)
	if err != nil {
		return "", &fs.PathError{Op: "read", Path: file, Err: err}
	}
	return strings.TrimSpace(string(b[:n])), nil
}

func write(file, value string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: file, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return &fs.PathError{Op: "write", Path: file, Err: err}
	}
	return nil
}
