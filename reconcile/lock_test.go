package reconcile

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// A daemon that was killed may leave its socket to a child for a moment, which nobody but a daemon answers at.
func TestHoldDaemon(t *testing.T) {
	err := lab.NewNamespace(t, "daemons").Do(func() error {
		release, err := HoldDaemon()
		if err != nil {
			return err
		}
		if _, err := HoldDaemon(); !errors.Is(err, ErrDaemonRuns) {
			t.Errorf("beside a daemon: %v", err)
		}
		if err := release(); err != nil {
			return err
		}
		left, err := net.Listen("unix", daemonSocket)
		if err != nil {
			return err
		}
		time.AfterFunc(heirs/10, func() { left.Close() })
		release, err = HoldDaemon()
		if err != nil {
			t.Errorf("after a daemon that was killed: %v", err)
			return nil
		}
		return release()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Only who has the lock counts, not who waits for it, or has another sort of lock.
func TestLockHolder(t *testing.T) {
	const locks = "1: POSIX  ADVISORY  WRITE 811 00:1a:1043 0 EOF\n2: FLOCK  ADVISORY  WRITE 812 00:1a:1043 0 EOF\n" +
		"2: -> FLOCK  ADVISORY  WRITE 977 00:1a:1043 0 EOF\n3: FLOCK  ADVISORY  WRITE 813 00:1b:1043 0 EOF\n"
	for file, want := range map[string]string{"00:1a:1043": "812", "00:1b:1043": "813", "00:1a:104": ""} {
		if got := lockHolder([]byte(locks), file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}
