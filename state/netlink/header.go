package netlink

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Header is what is read of a message's header.
type Header struct {
	Type, Flags uint16
	Seq         uint32
	PortID      uint32 // of the socket that asked for the change that is announced
}

// EachMessage hands each message of a datagram to each, until it says that it is done.
func EachMessage(b []byte, each func(h Header, body []byte) (done bool)) (done bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(native.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return false, fmt.Errorf("receive from netlink: a message of %d bytes in %d", size, len(b))
		}
		h := Header{native.Uint16(b[4:]), native.Uint16(b[6:]), native.Uint32(b[8:]), native.Uint32(b[12:])}
		if each(h, b[unix.NLMSG_HDRLEN:size]) {
			return true, nil
		}
		b = b[min(align(size), len(b)):]
	}
	return false, nil
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// Error is what the kernel says when it refuses a message and has words for it. Without words its
// errno stands alone.
type Error struct {
	Errno unix.Errno
	Text  string
}

func (e *Error) Error() string { return fmt.Sprintf("%v (%s)", e.Errno, e.Text) }

func (e *Error) Unwrap() error { return e.Errno }

// ErrInterrupted says that a list changed every time that it was read.
var ErrInterrupted = errors.New("the list changed while it was read")

const (
	ackTLVs   = 0x200 // NLM_F_ACK_TLVS
	ackText   = 1     // NLMSGERR_ATTR_MSG
	errorHead = 4 + unix.NLMSG_HDRLEN
)

// final reports whether the message is the last answer to a request.
func (h Header) final() bool { return h.Type == unix.NLMSG_ERROR || h.Type == unix.NLMSG_DONE }

// err reads the errno of a final message: an errno, an *Error, or nil.
func (h Header) err(body []byte) error {
	if len(body) < 4 {
		return nil
	}
	errno := -int32(native.Uint32(body))
	if errno <= 0 {
		return nil
	}
	if h.Flags&ackTLVs != 0 && len(body) > errorHead {
		if text := Text(Attribute(body[errorHead:], ackText)); text != "" {
			return &Error{unix.Errno(errno), text}
		}
	}
	return unix.Errno(errno)
}
