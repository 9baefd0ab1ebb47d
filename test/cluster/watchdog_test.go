package cluster

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The loop shows systemd that it turns as often as systemd asks, with nothing else to do.
func TestWatchdogInterval(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Stop()
	dir, err := os.MkdirTemp("", "") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	t.Setenv("NOTIFY_SOCKET", systemd.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", "400000")
	n.Start()
	const (
		pings   = 15
		longest = 2500 * time.Millisecond // much more than is asked for, and half of what the loop takes by itself
	)
	message := make([]byte, 4096)
	for seen, last := 0, time.Now(); seen < pings; {
		if err := systemd.SetReadDeadline(last.Add(longest)); err != nil {
			t.Fatal(err)
		}
		length, err := systemd.Read(message)
		if err != nil {
			t.Fatalf("after %d signs of life none within %s: %v", seen, longest, err)
		}
		if string(message[:length]) == "WATCHDOG=1" {
			seen, last = seen+1, time.Now()
		}
	}
}
