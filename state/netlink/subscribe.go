package netlink

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Subscribe opens a socket of a netlink protocol that receives what the kernel announces to some
// groups. The runtime polls it, so that closing it ends a read. It returns EPROTONOSUPPORT if the
// kernel does not have the protocol.
func Subscribe(protocol int, groups []int) (*os.File, error) {
	fd, err := open(protocol, unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for _, g := range groups {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("subscribe to the kernel's changes: %w", err)
	}
	enlarge(fd)
	return os.NewFile(uintptr(fd), "netlink"), nil
}
