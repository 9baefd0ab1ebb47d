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
