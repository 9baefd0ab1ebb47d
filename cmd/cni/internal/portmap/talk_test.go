package portmap

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// serve answers TCP connections and UDP packets to a port of a namespace, of either family, with a
// name and the address that they seem to come from.
func serve(t *testing.T, ns *lab.Namespace, name string, port int) {
	t.Helper()
	var l net.Listener
	var u net.PacketConn
	err := ns.Do(func() (err error) {
		if l, err = net.Listen("tcp", fmt.Sprintf(":%d", port)); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); u.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, answer(name, c.RemoteAddr()))
			c.Close()
		}
	}()
	go func() {
		b := make([]byte, 100)
		for {
			_, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = u.WriteTo([]byte(answer(name, from)), from)
		}
	}()
}

func answer(name string, from net.Addr) string {
	return name + " " + netip.MustParseAddrPort(from.String()).Addr().Unmap().String()
}

// An answer comes at once, or after what a busy machine needs; that there is none takes less
// patience.
const (
	patient   = 2 * time.Second
	impatient = 250 * time.Millisecond
)

// ask opens a connection and returns what it is answered within a time.
func ask(from *lab.Namespace, network, addr string, wait time.Duration) (string, error) {
	c, err := open(from, network, addr, wait)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return say(c, wait)
}

// open makes a connection from a namespace.
func open(from *lab.Namespace, network, addr string, wait time.Duration) (net.Conn, error) {
	var c net.Conn
	err := from.Do(func() (err error) {
		c, err = net.DialTimeout(network, addr, wait)
		return err
	})
	return c, err
}

// say sends a packet, or nothing over TCP, and waits for an answer.
func say(c net.Conn, wait time.Duration) (string, error) {
	if _, udp := c.(*net.UDPConn); udp {
		if _, err := c.Write([]byte("?")); err != nil {
			return "", err
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	b := make([]byte, 100)
	n, err := c.Read(b)
	return string(b[:n]), err
}

// answered wants an address to be answered with these words: a pod's name, the address it sees.
func answered(t *testing.T, from *lab.Namespace, network, addr string, words ...string) {
	t.Helper()
	got, err := ask(from, network, addr, patient)
	if err != nil {
		t.Errorf("%s -> %s %s: %v", from.Name, network, addr, err)
		return
	}
	for _, w := range words {
		if !strings.Contains(got+" ", w+" ") {
			t.Errorf("%s -> %s %s: answered %q, want %q in it", from.Name, network, addr, got, w)
		}
	}
}

// silent wants an address not to be answered.
func silent(t *testing.T, from *lab.Namespace, network, addr string) {
	t.Helper()
	if got, err := ask(from, network, addr, impatient); err == nil {
		t.Errorf("%s -> %s %s: answered %q", from.Name, network, addr, got)
	}
}
