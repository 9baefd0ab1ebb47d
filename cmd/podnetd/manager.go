package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/podnet/podnet/reconcile/document"
)

// manager tells systemd, if that is who started the daemon.
type manager struct {
	log   *slog.Logger
	ready bool
	deaf  bool // it did not take the last message, which the log has said
}

// passed: after the first verdict, whatever it is, the daemon does all it can.
func (m *manager) passed(s *document.NodeStatus) {
	if !m.ready {
		m.notify(daemon.SdNotifyReady)
		m.ready = true
	}
	m.notify("STATUS=" + oneLine(statusText(s)))
}

// oneLine keeps the first: a second one would be another message to systemd.
func oneLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// patience is half of what systemd gives the loop between two signs of life; 0: it has no watchdog.
func (m *manager) patience() time.Duration {
	given, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("systemd's watchdog is not understood", "error", err)
	}
	return given / 2
}

func (m *manager) alive()    { m.notify(daemon.SdNotifyWatchdog) }
func (m *manager) stopping() { m.notify(daemon.SdNotifyStopping) }

// notifyPatience bounds the wait for a manager that takes no messages, as one that has crashed and
// is frozen does not.
const notifyPatience = 100 * time.Millisecond

// notify tells the manager. The network does not depend on it: what it does not take in time is
// lost.
func (m *manager) notify(state string) {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(notifyPatience)) // it cannot fail for a socket that is open
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil && !m.deaf {
		m.log.Warn("systemd was not told", "error", err)
	}
	m.deaf = err != nil
}

// statusText is the line that systemctl status shows: how the node is, and the first reason why it
// is not well.
func statusText(s *document.NodeStatus) string {
	ready, refused := s.Condition(document.Ready), s.Condition(document.StaleTopology)
	held := s.Condition(document.Degraded)
	switch {
	case held.Reason == document.ReasonLockHeld:
		return held.Message
	case s.Topology.Digest == "" && ready.Reason != "PassFailed":
		return "waiting for a topology: " + ready.Message
	case s.InSync && refused.Status == "True":
		return fmt.Sprintf("in sync with the last good topology, %d peers; the file is refused: %s", s.Peers, refused.Message)
	case s.InSync:
		return fmt.Sprintf("in sync, %d peers", s.Peers)
	case ready.Status != "True":
		return "not in sync: " + ready.Message
	}
	for _, typ := range []string{document.Degraded, document.Foreign} {
		if c := s.Condition(typ); c.Status == "True" {
			return "not in sync: " + c.Message
		}
	}
	return "not in sync (podnetctl diff)"
}
