package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/agent"
)

// onWrite calls a function before each write.
type onWrite struct {
	bytes.Buffer
	do func()
}

func (w *onWrite) Write(b []byte) (int, error) {
	w.do()
	return w.Buffer.Write(b)
}

// Whoever waits for the lock says for whom, and goes on when it is free.
func TestWaitingForTheLock(t *testing.T) {
	h := newHost(t)
	unlock, err := agent.Lock(context.Background(), h.Path("/run/podnet/lock"), nil)
	if err != nil {
		t.Fatal(err)
	}
	said := &onWrite{do: func() { _ = unlock() }}
	var out bytes.Buffer
	code := 0
	err = h.Do(func() error {
		code = run([]string{"--root", h.Root, "--node", h.Host, "apply", "-"}, process{in: strings.NewReader(valid), out: &out, err: said,
			env: func(string) (string, bool) { return "", false }})
		return nil
	})
	want := fmt.Sprintf("(pid %d), which holds %s (kill %[1]d  ends it); Ctrl-C ends the wait\n", os.Getpid(), h.Path("/run/podnet/lock"))
	if err != nil || code != 0 || !strings.HasPrefix(said.String(), "podnetctl: waiting for ") || !strings.HasSuffix(said.String(), want) {
		t.Errorf("%v, exit code %d: %q, want %q\n%s", err, code, said.String(), want, out.String())
	}
}
