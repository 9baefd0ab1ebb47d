package agent

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/podnet/podnet/state/shell"
	"golang.org/x/sys/unix"
)

// LockHolder is the process that holds a lock file. PID is 0 if nobody holds it, or if the kernel
// does not tell who does, as it does not tell of a process outside of this one's container.
type LockHolder struct {
	Path    string // of the lock file
	PID     int
	Name    string // of the program
	Stopped bool   // by a signal, such as SIGSTOP or a terminal's, or by a debugger: it does not go on by itself
}

// FindLockHolder looks up who holds the lock file at a path.
func FindLockHolder(path string) LockHolder {
	h := LockHolder{Path: path}
	var file unix.Stat_t
	if unix.Stat(path, &file) != nil {
		return h
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return h
	}
	pid := lockingPID(locks, fmt.Sprintf("%02x:%02x:%d", unix.Major(file.Dev), unix.Minor(file.Dev), file.Ino))
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if pid == 0 || err != nil {
		return h
	}
	h.PID = pid
	h.Name, h.Stopped = programState(stat)
	return h
}

// lockingPID finds in /proc/locks the process that holds the lock of a file; 0: there is none. A
// process that waits for the lock has an arrow in its line.
//
//	1: FLOCK  ADVISORY  WRITE 812 00:1a:1043 0 EOF
//	1: -> FLOCK  ADVISORY  WRITE 977 00:1a:1043 0 EOF
func lockingPID(locks []byte, file string) int {
	for lines := bufio.NewScanner(bytes.NewReader(locks)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		pid := 0
		if len(f) >= 6 && f[1] == "FLOCK" && f[5] == file {
			if _, err := fmt.Sscan(f[4], &pid); err == nil {
				return pid
			}
		}
	}
	return 0
}

// programState reads a process's program and whether it is stopped from /proc/PID/stat: "812
// (podnetctl) T 1 ...". The name may hold parentheses itself.
func programState(stat []byte) (name string, stopped bool) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return "", false
	}
	state := bytes.TrimSpace(stat[end+1:])
	return string(stat[open+1 : end]), len(state) > 0 && (state[0] == 'T' || state[0] == 't')
}

// String names the process, and says so if it is stopped. Any process may call itself anything, so
// that a name that is not plain is quoted.
func (h LockHolder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	who := fmt.Sprintf("%s (pid %d)", plainName(h.Name), h.PID)
	if h.Stopped {
		who += ", which is stopped,"
	}
	return who
}

// Remedy is what to type to have the lock let go.
func (h LockHolder) Remedy() string {
	switch {
	case h.PID == 0:
		return "fuser -v " + shell.Quote(h.Path) + "  finds it"
	case h.Stopped:
		return fmt.Sprintf("kill -CONT %d  lets it go on,  kill -KILL %d  ends it", h.PID, h.PID)
	}
	return fmt.Sprintf("kill %d  ends it", h.PID)
}

// plainName is a program's name as it may be shown on a terminal.
func plainName(name string) string {
	if quoted := fmt.Sprintf("%q", name); quoted != `"`+name+`"` || name == "" {
		return quoted
	}
	return name
}
