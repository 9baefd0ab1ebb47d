package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"golang.org/x/sys/unix"
)

// Presence is what makes this process the daemon of its network namespace: the abstract socket, and
// a lock in podnet's run directory, whose name has the number of the namespace. The socket's name
// can be taken by any user, the lock only by root; and by the lock a daemon knows that another one
// works on the same files from another network namespace.
type Presence struct {
	paths  state.Paths
	socket net.Listener // nil: another user has taken the name
	file   *os.File     // nil: it could not be made
}

// HoldDaemon makes this process the daemon of its network namespace. The error is ErrDaemonRuns if
// another podnetd is, and names the holder of a socket that is root's. A socket of another user's
// does not count; see Squatter.
func HoldDaemon(paths state.Paths) (*Presence, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	p := &Presence{paths: paths, socket: l}
	for end := time.Now().Add(heirs); ; time.Sleep(lockPause) {
		p.file, err = tryLock(daemonFile(paths))
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return p, nil
		}
		if time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("%w: %s (systemctl status podnetd)", ErrDaemonRuns,
				FindLockHolder(daemonFile(paths))), p.Release())
		}
	}
}

// Release lets both go, as the end of the process does.
func (p *Presence) Release() error {
	var failed error
	if p.socket != nil {
		failed = p.socket.Close()
	}
	if p.file != nil {
		failed = errors.Join(failed, os.Remove(p.file.Name()), p.file.Close())
	}
	return failed
}

// TakeSocket takes the socket's name if its holder of another user has gone meanwhile.
func (p *Presence) TakeSocket() {
	if p.socket != nil {
		return
	}
	if l, err := net.Listen("unix", daemonSocket); err == nil {
		p.socket = l
		go answer(l)
	}
}

// daemonFile is the lock file of this network namespace's daemon.
func daemonFile(paths state.Paths) string {
	var ns unix.Stat_t
	if unix.Stat("/proc/thread-self/ns/net", &ns) != nil {
		ns.Ino = 0 // without /proc
	}
	return filepath.Join(paths.RunDir, fmt.Sprintf("%s%d", daemonFilePrefix, ns.Ino))
}

const daemonFilePrefix = "daemon-"

// DaemonRuns says whether a daemon holds this network namespace.
func DaemonRuns(paths state.Paths) bool {
	if by, held := socketHolder(); held && (by == nil || by.uid == 0) {
		return true
	}
	return isLocked(daemonFile(paths))
}

// isLocked says whether a process holds the lock at a path.
func isLocked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// elsewhere says whether a daemon of another network namespace works on the same files. What
// daemons that were killed have left of theirs is removed.
func (p *Presence) elsewhere() bool {
	files, _ := filepath.Glob(filepath.Join(p.paths.RunDir, daemonFilePrefix+"*")) // the pattern is sound
	own, found := daemonFile(p.paths), false
	for _, path := range files {
		if path == own {
			continue
		}
		f, err := tryLock(path)
		switch {
		case errors.Is(err, unix.EWOULDBLOCK):
			found = true
		case err == nil:
			_ = os.Remove(path) // with its lock held; what stays is looked at again
			f.Close()
		}
	}
	return found
}

// Squatter describes the holder of the daemon's socket that cannot be a daemon, as it is not
// root's; "": there is none.
func Squatter() string {
	by, held := socketHolder()
	if !held || by == nil || by.uid == 0 {
		return ""
	}
	return by.String()
}

// socketHolder says whether the daemon's socket is held, and by whom; nil: nobody knows.
func socketHolder() (by *holder, held bool) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: daemonSocket, Net: "unix"})
	if err == nil {
		defer c.Close()
		return peer(c), true
	}
	if uid, known, err := kernel.SocketOwner(daemonSocket[1:]); known && err == nil && uid != 0 {
		return &holder{uid: uid}, true // it lets nobody in
	}
	return nil, errors.Is(err, syscall.EAGAIN) // too many want to be let in
}
