package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// socket is a netlink socket of the bench's own: it does damage without the time that starting a
// tool takes, and hears the kernel announce what podnet does about it. It shares no code with
// podnet.
type socket struct {
	fd  int
	buf []byte
}

// listenGroups are those that announce what podnet manages.
var listenGroups = []int{
	unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
	unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF,
}

// dial opens a socket in a node's namespace. The first one of this process there bears its process
// id, so that the kernel names it as the author of what is done with it.
func dial(n *lab.Node, protocol int, groups ...int) (*socket, error) {
	return dialNamespace(n.Namespace, protocol, groups...)
}

func dialNamespace(ns *lab.Namespace, protocol int, groups ...int) (*socket, error) {
	s := &socket{buf: make([]byte, 1<<20)}
	err := ns.Do(func() (err error) {
		s.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
		return nil, err
	}
	for _, g := range groups {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
			return nil, err
		}
	}
	patience := unix.NsecToTimeval(lab.Patience.Nanoseconds())
	return s, unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience)
}

func (s *socket) close() { unix.Close(s.fd) }

// request is one message to the kernel.
type request []byte

// newRequest begins one with the fixed header of its type.
func newRequest(typ uint16, flags uint16, header ...byte) request {
	r := make(request, unix.NLMSG_HDRLEN, 128)
	binary.NativeEndian.PutUint16(r[4:], typ)
	binary.NativeEndian.PutUint16(r[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	return append(r, header...)
}

func (r request) attr(typ uint16, value []byte) request {
	r = binary.NativeEndian.AppendUint16(r, uint16(unix.SizeofRtAttr+len(value)))
	r = binary.NativeEndian.AppendUint16(r, typ)
	r = append(r, value...)
	for len(r)%unix.RTA_ALIGNTO != 0 {
		r = append(r, 0)
	}
	return r
}

func (r request) number(typ uint16, value uint32) request {
	return r.attr(typ, binary.NativeEndian.AppendUint32(nil, value))
}

// do sends a request and waits for its acknowledgement.
func (s *socket) do(r request) error {
	binary.NativeEndian.PutUint32(r, uint32(len(r)))
	if err := unix.Sendto(s.fd, r, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	n, _, err := unix.Recvfrom(s.fd, s.buf, 0)
	if err != nil {
		return err
	}
	if n < unix.NLMSG_HDRLEN+4 {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	if e := int32(binary.NativeEndian.Uint32(s.buf[unix.NLMSG_HDRLEN:])); e != 0 {
		return syscall.Errno(-e)
	}
	return nil
}

// await reads announcements until each has said that it has heard all that it waits for, and
// returns when the last of them came.
func (s *socket) await(each func(syscall.NetlinkMessage) (done bool)) (time.Time, error) {
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buf, 0)
		at := time.Now()
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return at, fmt.Errorf("no announcement: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(s.buf[:n])
		if err != nil {
			return at, err
		}
		for _, m := range messages {
			if each(m) {
				return at, nil
			}
		}
	}
}

// drain throws away what has been announced so far, and that it was more than the buffer holds.
func (s *socket) drain() {
	for {
		if _, _, err := unix.Recvfrom(s.fd, s.buf, unix.MSG_DONTWAIT); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
	}
}
