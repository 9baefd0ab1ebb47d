// Package probe sends real packets and looks for where they come by.
package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Pinger sends echo requests that nobody may fragment, from one address of the network namespace in
// which it was opened. It is for one goroutine at a time.
type Pinger struct {
	conn net.PacketConn
	id   int
	from netip.Addr
	seq  int
}

// Open opens a pinger in the calling thread's network namespace. It needs CAP_NET_RAW.
func Open(ctx context.Context, from netip.Addr) (*Pinger, error) {
	network := "ip4:icmp"
	if from.Is6() {
		network = "ip6:ipv6-icmp"
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = whole(int(fd), from.Is6()) }), err)
	}}
	conn, err := config.ListenPacket(ctx, network, from.String())
	if err != nil {
		return nil, err
	}
	return &Pinger{conn: conn, id: os.Getpid() & 0xffff, from: from}, nil
}

// whole has the kernel send packets unfragmented, whatever it remembers of the way.
func whole(fd int, six bool) error {
	if six {
		return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1))
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
}

// Close ends it.
func (p *Pinger) Close() error { return p.conn.Close() }

// ID is in every request and its answer.
func (p *Pinger) ID() uint16 { return uint16(p.id) }

// Shot is one echo request: where to, and how large the packet is with its IP header, bytes.
type Shot struct {
	To   netip.Addr
	Size int
}

// Result is what became of a shot.
type Result struct {
	Answered bool
	Err      error // why it could not be sent
}

// Small is the size of an ordinary echo request.
const Small = 84

// atOnce is how many requests go out before answers are read: an interface's queue is not long.
const atOnce = 200

// Round sends the shots and waits for answers until all are there, or for so long after the last
// one was sent.
func (p *Pinger) Round(shots []Shot, patience time.Duration) []Result {
	out := make([]Result, len(shots))
	first := p.seq
	p.seq += len(shots)
	left := 0
	for i, s := range shots {
		if out[i].Err = p.send(first+i, s); out[i].Err == nil {
			left++
		}
		if i%atOnce == atOnce-1 {
			left -= p.collect(first, shots, out, left, time.Millisecond)
		}
	}
	p.collect(first, shots, out, left, patience)
	return out
}

func (p *Pinger) send(seq int, s Shot) error {
	var typ icmp.Type = ipv4.ICMPTypeEcho
	header := 28 // IP and ICMP
	if s.To.Is6() {
		typ, header = ipv6.ICMPTypeEchoRequest, 48
	}
	m := icmp.Message{Type: typ, Body: &icmp.Echo{ID: p.id, Seq: seq & 0xffff, Data: make([]byte, max(0, s.Size-header))}}
	b, err := m.Marshal(nil) // the kernel fills ICMPv6's checksum in
	if err != nil {
		return err
	}
	_, err = p.conn.WriteTo(b, &net.IPAddr{IP: s.To.AsSlice()})
	return err
}

// collect reads answers until there are want of them, and returns how many came.
func (p *Pinger) collect(first int, shots []Shot, out []Result, want int, patience time.Duration) (got int) {
	buf := make([]byte, 1<<16)
	_ = p.conn.SetReadDeadline(time.Now().Add(patience)) // without one, want ends it
	for got < want {
		n, from, err := p.conn.ReadFrom(buf)
		if err != nil {
			return got
		}
		if i, ok := p.answer(buf[:n], from, first, shots); ok && !out[i].Answered {
			out[i].Answered = true
			got++
		}
	}
	return got
}

// answer finds the shot that a message answers.
func (p *Pinger) answer(b []byte, from net.Addr, first int, shots []Shot) (int, bool) {
	protocol := unix.IPPROTO_ICMP
	if p.from.Is6() {
		protocol = unix.IPPROTO_ICMPV6
	}
	m, err := icmp.ParseMessage(protocol, b)
	if err != nil || m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply {
		return 0, false
	}
	echo, ok := m.Body.(*icmp.Echo)
	sender, is := from.(*net.IPAddr)
	if !ok || !is || echo.ID != p.id {
		return 0, false
	}
	i := (echo.Seq - first&0xffff) & 0xffff
	a, _ := netip.AddrFromSlice(sender.IP)
	return i, i < len(shots) && a.Unmap() == shots[i].To
}

// Fits is the largest packet that comes back from an address, above one size that does and up to
// another that does not; bytes.
func (p *Pinger) Fits(to netip.Addr, good, bad int, patience time.Duration) int {
	const sizes = 16 // in a round, so that three rounds do
	for bad-good > 1 {
		step := max(1, (bad-good)/sizes)
		var shots []Shot
		for s := good + step; s < bad; s += step {
			shots = append(shots, Shot{to, s})
		}
		before := good
		for i, r := range p.Round(shots, patience) {
			if r.Answered {
				good = max(good, shots[i].Size)
			}
		}
		bad = min(bad, good+step)
		if good == before && step == 1 {
			return good
		}
	}
	return good
}
