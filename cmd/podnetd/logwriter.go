package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// logWriter writes the log to a file that may stop taking it: a journal that hangs, a full pipe, a
// terminal after Ctrl-S. The network does not wait for that: a line that cannot be written within
// logPatience is dropped, and so are the next ones, at once, until there is room again. The number
// of lines that are missing is then in the log.
type logWriter struct {
	mu      sync.Mutex
	to      *os.File
	dropped int
}

const (
	logPatience = time.Second
	// portion is what any pipe takes without blocking when poll says that it takes something.
	portion = 4096
)

func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	patience := logPatience
	if w.dropped > 0 {
		patience = 0
	}
	if w.dropped > 0 && w.ready(patience) {
		note := fmt.Sprintf("podnetd: %d lines are missing here: the log was not read\n", w.dropped)
		if _, err := w.to.WriteString(note); err == nil {
			w.dropped = 0
		}
	}
	for rest := line; len(rest) > 0; {
		if !w.ready(patience) {
			w.dropped++
			break
		}
		n, err := w.to.Write(rest[:min(len(rest), portion)])
		if err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(line), nil
}

// ready reports whether the file takes a portion, waiting so long for it. Of a file that cannot be
// asked it is to be hoped.
func (w *logWriter) ready(patience time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(w.to.Fd()), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(fds, int(patience.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n > 0 || err != nil
		}
	}
}
