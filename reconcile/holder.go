package reconcile

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// LockHolder says who holds the lock at a path, by name and process id; "": nobody, or the kernel does not tell, as of a
// process outside of this one's container.
func LockHolder(path string) string {
	var file unix.Stat_t
	if unix.Stat(path, &file) != nil {
		return ""
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return ""
	}
	pid := lockHolder(locks, fmt.Sprintf("%02x:%02x:%d", unix.Major(file.Dev), unix.Minor(file.Dev), file.Ino))
	name, err := os.ReadFile("/proc/" + pid + "/comm")
	if pid == "" || err != nil {
		return ""
	}
	return fmt.Sprintf("%s (pid %s)", bytes.TrimSpace(name), pid)
}

// lockHolder finds in /proc/locks the process whose lock of a file is held, and not waited for; "": there is none.
//
//	1: FLOCK  ADVISORY  WRITE 812 00:1a:1043 0 EOF
//	1: -> FLOCK  ADVISORY  WRITE 977 00:1a:1043 0 EOF
func lockHolder(locks []byte, file string) string {
	for lines := bufio.NewScanner(bytes.NewReader(locks)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) >= 6 && f[1] == "FLOCK" && f[5] == file {
			return f[4]
		}
	}
	return ""
}
