package probe

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Sighting is whether an echo request and its answer came by a device.
type Sighting struct {
	Request, Answer bool
	Bare            bool // an answer came that was in no tunnel
}

// Watch looks for a pinger's packets on one device, bare or inside of the tunnel's.
type Watch struct {
	file *os.File
	id   uint16
	port uint16
	done chan struct{}

	mu   sync.Mutex
	seen Sighting
}

// Look watches a device of the calling thread's network namespace for echo requests with this id;
// port is the tunnel's.
func Look(index int, id, port uint16) (*Watch, error) {
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}) // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	w := &Watch{file: os.NewFile(uintptr(fd), "packet"), id: id, port: port, done: make(chan struct{})}
	go w.run()
	return w, nil
}

func (w *Watch) run() {
	defer close(w.done)
	buf := make([]byte, 1<<16)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		s := echo(buf[:n], w.id, w.port)
		w.mu.Lock()
		w.seen.Request = w.seen.Request || s.Request
		w.seen.Answer = w.seen.Answer || s.Answer
		w.seen.Bare = w.seen.Bare || s.Bare
		w.mu.Unlock()
	}
}

// Close ends the watch and says what was seen.
func (w *Watch) Close() Sighting {
	w.file.Close() // nothing was written
	<-w.done
	return w.seen
}

const (
	etherLen = 14
	udpLen   = 8
	vxlanLen = 8
)

// echo finds an echo request or its answer in a frame, one tunnel deep.
func echo(frame []byte, id, port uint16) Sighting {
	protocol, body := network(frame)
	bare := true
	if protocol == unix.IPPROTO_UDP && len(body) > udpLen+vxlanLen && binary.BigEndian.Uint16(body[2:]) == port {
		protocol, body = network(body[udpLen+vxlanLen:])
		bare = false
	}
	if len(body) < 8 || binary.BigEndian.Uint16(body[4:]) != id {
		return Sighting{}
	}
	var s Sighting
	switch protocol {
	case unix.IPPROTO_ICMP:
		s.Request, s.Answer = body[0] == 8, body[0] == 0
	case unix.IPPROTO_ICMPV6:
		s.Request, s.Answer = body[0] == 128, body[0] == 129
	}
	s.Bare = s.Answer && bare
	return s
}

// network is what an Ethernet frame's IP packet carries; protocol -1: it has none.
func network(frame []byte) (protocol int, body []byte) {
	if len(frame) < etherLen {
		return -1, nil
	}
	packet := frame[etherLen:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		if len(packet) < 20 {
			break
		}
		if header := int(packet[0]&0xf) * 4; header <= len(packet) {
			return int(packet[9]), packet[header:]
		}
	case unix.ETH_P_IPV6:
		if len(packet) >= 40 {
			return int(packet[6]), packet[40:]
		}
	}
	return -1, nil
}
