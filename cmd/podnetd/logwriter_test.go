package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pipe that nobody reads costs the daemon one wait, and lines. The reader who comes back learns
// how many.
func TestLogThatNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4*portion); err != nil {
		t.Skipf("the size of a pipe cannot be set: %v", err)
	}
	log := &logWriter{to: w}
	line := []byte(strings.Repeat("x", portion/4-1) + "\n")
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range 100 {
			if n, err := log.Write(line); n != len(line) || err != nil {
				t.Errorf("a line is written: %d, %v", n, err)
			}
		}
	}()
	select {
	case <-written:
	case <-time.After(20 * logPatience):
		t.Fatal("the pipe has stopped the writer")
	}
	taken := make([]byte, 100*len(line))
	n, err := r.Read(taken) // all that is there
	if err != nil || n%len(line) != 0 || n == len(taken) {
		t.Fatalf("%d bytes were written, %v", n, err)
	}
	if _, err := log.Write([]byte("again\n")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	rest, err := io.ReadAll(r)
	if want := fmt.Sprintf("podnetd: %d lines are missing here: the log was not read\nagain\n", 100-n/len(line)); err != nil || string(rest) != want {
		t.Errorf("after the gap: %q, %v, want %q", rest, err, want)
	}
}
