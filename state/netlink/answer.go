package netlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Error is a refusal of the kernel's.
type Error struct {
	Errno unix.Errno
	Text  string // the kernel's own words, if it has any
}

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Errno.Error()
	}
	return fmt.Sprintf("%v (%s)", e.Errno, e.Text)
}

func (e *Error) Unwrap() error { return e.Errno }

var errInterrupted = errors.New("the list changed while it was read")

var native = binary.NativeEndian

// sort gives what was received to the messages it answers, by sequence number, and says how many are answered in full.
func sort(answers []Answer, first uint32, data []byte) (done int, err error) {
	for len(data) >= unix.NLMSG_HDRLEN {
		length, typ, flags, seq := native.Uint32(data), native.Uint16(data[4:]), native.Uint16(data[6:]), native.Uint32(data[8:])
		if length < unix.NLMSG_HDRLEN || int(length) > len(data) {
			return 0, errors.New("receive from netlink: a message that is cut off")
		}
		payload := data[unix.NLMSG_HDRLEN:length]
		data = data[min(align(int(length)), len(data)):]
		if seq-first >= uint32(len(answers)) {
			continue // not an answer
		}
		a := &answers[seq-first]
		if flags&unix.NLM_F_DUMP_INTR != 0 {
			a.Err = errInterrupted
		}
		switch typ {
		case unix.NLMSG_ERROR, unix.NLMSG_DONE:
			done++
			if err := refusal(payload, flags); err != nil && a.Err == nil {
				a.Err = err
			}
		default:
			a.Data = append(a.Data, slices.Clone(payload))
		}
	}
	return done, nil
}

const (
	ackTLVs   = 0x200 // NLM_F_ACK_TLVS
	ackText   = 1     // NLMSGERR_ATTR_MSG
	errorHead = 4 + unix.NLMSG_HDRLEN
)

// refusal reads the errno of an acknowledgement, nil if it is 0, and what the kernel adds.
func refusal(payload []byte, flags uint16) error {
	if len(payload) < 4 {
		return nil
	}
	errno := -int32(native.Uint32(payload))
	if errno <= 0 {
		return nil
	}
	e := &Error{Errno: unix.Errno(errno)}
	if flags&ackTLVs != 0 && len(payload) > errorHead {
		e.Text = string(bytes.TrimRight(Attributes(payload[errorHead:])[ackText], "\x00"))
	}
	return e
}

// Attributes reads a list of attributes; of several of one type the last.
func Attributes(b []byte) map[uint16][]byte {
	attrs := map[uint16][]byte{}
	for typ, value := range AttributeList(b) {
		attrs[typ] = value
	}
	return attrs
}

// attribute reads the last of one type, nil if there is none. A map of all takes longer to make than most answers to read.
func attribute(b []byte, typ uint16) []byte {
	var found []byte
	for t, value := range AttributeList(b) {
		if t == typ {
			found = value
		}
	}
	return found
}

// AttributeList yields attributes in their order, without the bits that say how they are encoded.
func AttributeList(b []byte) func(yield func(uint16, []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length := int(native.Uint16(b))
			if length < unix.SizeofRtAttr || length > len(b) {
				return
			}
			if !yield(native.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:length]) {
				return
			}
			b = b[min(align(length), len(b)):]
		}
	}
}

func align(n int) int { return (n + 3) &^ 3 }
