package kernel

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// watchFilter keeps from the watch, in the kernel, announcements of routes that interest.route
// would surely call no news: the storm of a routing daemon is then neither queued nor read, but for
// a sample by which it is noticed. It is only a sieve; what passes is judged as ever.
type watchFilter struct {
	sample  uint32 // of so many routes outside of the cover one passes, a power of two; 0: none does
	sockets []syscall.RawConn
	cover   cover
	program unix.SockFprog // zero: nothing is cared for yet
}

// cover is, for IPv4 and IPv6, the least prefix that all wanted routes lie in; the zero Prefix:
// there are none.
type cover [2]netip.Prefix

// add has a socket be filtered until it is closed.
func (f *watchFilter) add(socket *os.File) {
	if conn, err := socket.SyscallConn(); err == nil {
		f.sockets = append(f.sockets, conn)
		f.attach(conn)
	}
}

// care lets pass what may concern routes within the cover from now on. It is asked on every pass,
// and changes a socket only if it has to.
func (f *watchFilter) care(c cover) {
	if c == f.cover && f.program.Filter != nil {
		return
	}
	f.cover, f.program = c, c.program(f.sample)
	f.sockets = slices.DeleteFunc(f.sockets, func(s syscall.RawConn) bool { return !f.attach(s) })
}

// attach says whether the socket is still there. Where the kernel refuses the filter there is none,
// rather than the one before, which what is wanted now may not pass.
func (f *watchFilter) attach(socket syscall.RawConn) bool {
	return socket.Control(func(fd uintptr) {
		if unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &f.program) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		}
	}) == nil
}

// sampled is the watch's sample.
const sampled = 256

func coverOf(want *state.Table[state.Route]) (c cover) {
	for i := range want.Rows() {
		dst, six := want.Rows()[i].Dst, 0
		if dst.Addr().Is6() {
			six = 1
		}
		c[six] = schema.Around(c[six], dst)
	}
	return c
}

// holds says whether an address is of the cover.
func (c cover) holds(a netip.Addr) bool { return c[0].Contains(a) || c[1].Contains(a) }

// What a program returns is how many bytes of the datagram are kept.
const (
	pass = 1<<32 - 1
	drop = 0
)

// program drops a datagram that is one message of a route, and this of another table than main, or,
// but for a sample, another program's and outside of the cover. Loads are big-endian, as addresses
// are; what the kernel writes in the machine's order is compared with what that looks like.
func (c cover) program(sample uint32) unix.SockFprog {
	const rtm = unix.NLMSG_HDRLEN // where struct rtmsg starts
	var p program
	p.add(bpf.LoadExtension{Num: bpf.ExtLen}, bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: rtm + rtmLen, SkipTrue: 1}).
		end(pass)
	p.add(bpf.LoadAbsolute{Off: 4, Size: 2}).unless(pass, wire16(unix.RTM_NEWROUTE), wire16(unix.RTM_DELROUTE))
	p.oneMessage()
	p.add(bpf.LoadAbsolute{Off: rtm + 4, Size: 1}).unless(drop, state.MainTable)
	p.add(bpf.LoadAbsolute{Off: rtm + 5, Size: 1}).passIf(state.RouteProtocol).passIf(unix.RTPROT_KERNEL)
	p.add(bpf.LoadAbsolute{Off: rtm + 1, Size: 1}).passIf(0) // the default route
	p.add(bpf.LoadAbsolute{Off: rtm, Size: 1})
	for i, ip := range []struct{ family, size uint32 }{{unix.AF_INET, net.IPv4len}, {unix.AF_INET6, net.IPv6len}} {
		var inside program
		inside.destination(ip.size, rtm+rtmLen).within(c[i], sample)
		p.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: ip.family, SkipFalse: uint8(len(inside))}).add(inside...)
	}
	return p.end(pass).assemble()
}

type program []bpf.Instruction

func (p *program) add(more ...bpf.Instruction) *program {
	*p = append(*p, more...)
	return p
}

func (p *program) end(verdict uint32) *program { return p.add(bpf.RetConstant{Val: verdict}) }

// passIf ends the program if what was loaded last is v.
func (p *program) passIf(v uint32) *program {
	return p.add(bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: v, SkipTrue: 1}).end(pass)
}

// unless ends the program if what was loaded last is none of the values.
func (p *program) unless(verdict uint32, values ...uint32) *program {
	for i, v := range values {
		p.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return p.end(verdict)
}

// oneMessage passes a datagram unless it is as long as its first message says that it is.
func (p *program) oneMessage() {
	p.add(bpf.LoadConstant{Dst: bpf.RegX, Val: 0})
	for _, at := range native.AppendUint32(nil, 0x00_01_02_03) { // the length's bytes, the most significant one first
		p.add(bpf.TXA{}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 8}, bpf.TAX{})
		p.add(bpf.LoadAbsolute{Off: uint32(at), Size: 1}, bpf.ALUOpX{Op: bpf.ALUOpOr}, bpf.TAX{})
	}
	p.add(bpf.LoadExtension{Num: bpf.ExtLen}, bpf.JumpIfX{Cond: bpf.JumpEqual, SkipTrue: 1}).end(pass)
}

// destination has X be where the attribute of the destination is, and passes a route that has none
// of an address's size.
func (p *program) destination(size, attributes uint32) *program {
	p.add(bpf.LoadConstant{Dst: bpf.RegX, Val: unix.RTA_DST}, bpf.LoadConstant{Val: attributes})
	p.add(bpf.LoadExtension{Num: bpf.ExtNetlinkAttr}).passIf(0)
	return p.add(bpf.TAX{}, bpf.LoadIndirect{Off: 0, Size: 2}).unless(pass, wire16(uint16(unix.SizeofRtAttr+size)))
}

// within drops a route whose destination, at X, is outside of the cover, but for a sample, and
// passes any other.
func (p *program) within(cover netip.Prefix, sample uint32) {
	var outside program
	outside.dropMost(sample)
	if !cover.IsValid() {
		p.add(outside...)
		return
	}
	addr := cover.Addr().AsSlice()
	mask := net.CIDRMask(cover.Bits(), 8*len(addr))
	for i := 0; 8*i < cover.Bits(); i += 4 {
		word, bits := binary.BigEndian.Uint32(addr[i:]), binary.BigEndian.Uint32(mask[i:])
		p.add(bpf.LoadIndirect{Off: unix.SizeofRtAttr + uint32(i), Size: 4}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: bits})
		p.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: word, SkipTrue: uint8(len(outside))}).add(outside...)
	}
	p.end(pass)
}

func (p *program) dropMost(sample uint32) {
	if sample > 0 {
		p.add(bpf.LoadExtension{Num: bpf.ExtRand}, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: sample - 1, SkipTrue: 1}).end(pass)
	}
	p.end(drop)
}

// wire16 is a number of the machine's order of bytes as a filter loads it.
func wire16(v uint16) uint32 {
	return uint32(binary.BigEndian.Uint16(native.AppendUint16(nil, v)))
}

// assemble returns the zero SockFprog, which the kernel refuses, for what is no program.
func (p *program) assemble() unix.SockFprog {
	raw, err := bpf.Assemble(*p)
	if err != nil {
		return unix.SockFprog{}
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
}
