package hostlocal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/ipam"
)

// Status returns why an ADD would not get an address of each range set; nil if it would.
func (c *Call) Status() error {
	sets, err := c.Sets()
	if err != nil {
		return err
	}
	if _, err := readResolvConf(c.resolvConf); err != nil {
		return protocol.Errorf(protocol.CodeNotReady, "%w", err)
	}
	if err := writable(c.dir()); err != nil {
		return protocol.Errorf(protocol.CodeNotReady, "no lease can be kept: %w", err)
	}
	s, err := c.store()
	if err != nil {
		return err
	}
	return c.notReady(s, c.looking(s).Room(protocol.NewPatience(), sets))
}

func (c *Call) notReady(s *ipam.Store, err error) error {
	var exhausted *ipam.ExhaustedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exhausted):
		return protocol.Errorf(protocol.CodeNotReady,
			"range set %d (%s) of network %s is exhausted: %d of %[4]d addresses are leased: %s",
			exhausted.Index, exhausted.Set, c.Network, exhausted.Leased, c.moreRoom(s, exhausted))
	case errors.Is(err, ipam.ErrBusy):
		return storeError(err)
	}
	return protocol.Errorf(protocol.CodeNotReady, "lease store: %w", err)
}

// writable returns why a directory cannot be written to, or be made if it is not there.
func writable(dir string) error {
	_, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		return writable(filepath.Dir(dir))
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}
