package tracer

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call is one system call of one thread, which stands still while it is looked at.
type Call struct {
	Tid    int
	Nr     uint64
	Args   [6]uint64
	Result int64 // once it has been carried out; an errno is negative

	verdict Verdict
}

// syscallInfo is struct ptrace_syscall_info: of an entry number and arguments, of an exit the
// result in nr's place.
type syscallInfo struct {
	op   uint8
	_    [23]byte // architecture, instruction and stack pointer
	nr   uint64
	args [6]uint64
}

// look reads the call at whose entry or exit a thread has stopped.
func look(tid int) (call *Call, entry, ok bool) {
	const (
		getSyscallInfo = 0x420e
		opEntry        = 1
		opExit         = 2
	)
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(tid), unsafe.Sizeof(info),
		uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info.op != opEntry && info.op != opExit {
		return nil, false, false
	}
	if info.op == opExit {
		return &Call{Tid: tid, Result: int64(info.nr)}, false, true
	}
	return &Call{Tid: tid, Nr: info.nr, Args: info.args}, true, true
}

// Bytes is n bytes of the program's memory; fewer if there are no more.
func (c *Call) Bytes(addr uint64, n int) []byte {
	if n <= 0 {
		return nil
	}
	data := make([]byte, n)
	local := []unix.Iovec{{Base: &data[0]}}
	local[0].SetLen(n)
	got, err := unix.ProcessVMReadv(c.Tid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: n}}, 0)
	if err != nil {
		return nil
	}
	return data[:got]
}

// Put changes the program's memory.
func (c *Call) Put(addr uint64, data []byte) error {
	_, err := unix.PtracePokeData(c.Tid, uintptr(addr), data)
	return err
}

// String is a text of the program's memory that ends with a zero, as far as a path can be long.
func (c *Call) String(addr uint64) string {
	const page = 4096
	text := c.Bytes(addr, page-int(addr%page)) // the next page may not be there
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return string(text[:i])
	}
	rest := c.Bytes(addr+uint64(len(text)), page)
	before, _, _ := bytes.Cut(rest, []byte{0})
	return string(text) + string(before)
}

// File is what a descriptor of the program's leads to: a path, or something like socket:[4026].
func (c *Call) File(fd uint64) string {
	target, err := os.Readlink("/proc/" + strconv.Itoa(c.Tid) + "/fd/" + strconv.Itoa(int(int32(fd))))
	if err != nil {
		return ""
	}
	return target
}

// Path is the file that a call with a path is about, and that a rename puts in place; for others
// the file behind the descriptor.
func (c *Call) Path() string {
	at := func(dir, name int) string {
		path := c.String(c.Args[name])
		if !filepath.IsAbs(path) && int32(c.Args[dir]) != unix.AT_FDCWD {
			path = filepath.Join(c.File(c.Args[dir]), path)
		}
		return path
	}
	switch c.Nr {
	case unix.SYS_OPENAT, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT, unix.SYS_FCHMODAT, unix.SYS_UTIMENSAT:
		return at(0, 1)
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT:
		return at(2, 3)
	case unix.SYS_SYMLINKAT:
		return at(1, 2)
	case unix.SYS_EXECVE:
		return c.String(c.Args[0])
	}
	return c.File(c.Args[0])
}

// Changes says whether the call may change something outside of its process. Questions over netlink
// do not; see Netlink.
func (c *Call) Changes() bool {
	switch c.Nr {
	case unix.SYS_OPENAT:
		return c.Args[2]&(unix.O_CREAT|unix.O_TRUNC) != 0
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		return strings.HasPrefix(c.File(c.Args[0]), "/") && !strings.HasPrefix(c.File(c.Args[0]), "/dev/")
	case unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT,
		unix.SYS_UTIMENSAT, unix.SYS_FTRUNCATE, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FLOCK:
		return true
	case unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG:
		for _, m := range c.Netlink() {
			if m.Changes() {
				return true
			}
		}
	}
	return false
}
