package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/test/lab"
)

// reader is whoever reads a verb's output, such as a pager: it takes the node's lock before it
// takes anything in.
type reader struct {
	strings.Builder
	t    *testing.T
	lock string
}

func (r *reader) Write(b []byte) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lab.Patience)
	defer cancel()
	unlock, err := agent.Lock(ctx, r.lock, nil)
	if err != nil {
		r.t.Errorf("%q is written while the lock is held: %v", b, err)
		return 0, err
	}
	r.Builder.Write(b)
	return len(b), unlock()
}

// No verb prints while it holds the node's lock, whatever it has to say: a reader that stops
// reading would keep podnetd from healing, and a trial from ending.
func TestNothingIsPrintedUnderTheLock(t *testing.T) {
	h := newHost(t)
	first := write(t, h.Path("/first.yaml"), valid)
	second := write(t, h.Path("/second.yaml"), strings.Replace(valid, "192.0.2.12", "192.0.2.22", 1))
	none := write(t, h.Path("/none.yaml"), strings.Replace(valid, "192.0.2.11", "192.0.2.111", 1))
	other := write(t, h.Path("/other.yaml"), strings.Replace(valid, "10.244.0.0/24", "10.244.7.0/24", 1))
	for _, verb := range []struct {
		args string
		code int
	}{
		{"apply " + none, 1}, // with a warning: the conflist waits for the ip
		{"apply " + first, 0},
		{"apply", 0},
		{"apply -o json", 0},
		{"apply --confirm 10m " + second, 0},
		{"apply " + other, 1}, // refused: a trial is under way
		{"apply -o json " + other, 1},
		{"rollback", 0},
		{"apply --allow-disruption --confirm 10m -o json " + second, 0},
		{"confirm -o json", 0},
		{"confirm", 1},
		{"rollback -o json", 1},
		{"teardown -o json", 0},
	} {
		var out, diagnostics reader
		for _, r := range []*reader{&out, &diagnostics} {
			r.t, r.lock = t, h.Path("/run/podnet/lock")
		}
		var code int
		err := h.Do(func() error {
			code = run(append([]string{"--root", h.Root, "--node", h.Host}, strings.Fields(verb.args)...), process{
				in: strings.NewReader(""), out: &out, err: &diagnostics, env: func(string) (string, bool) { return "", false },
				detach: func([]string) error { return nil },
			})
			return nil
		})
		if err != nil || code != verb.code {
			t.Errorf("%s: exit code %d, %v, want %d\n%s%s", verb.args, code, err, verb.code, out.String(), diagnostics.String())
		}
		if out.Len()+diagnostics.Len() == 0 {
			t.Errorf("%s says nothing", verb.args)
		}
	}
}

// What a verb has to say comes in its order, and an output that takes nothing any more is an error
// unless there is another.
func TestOutbox(t *testing.T) {
	var all strings.Builder
	var kept outbox
	out, diagnostics := kept.of(&all), kept.of(&all)
	for i, w := range []io.Writer{out, diagnostics, out} {
		if n, err := w.Write([]byte{byte('a' + i)}); n != 1 || err != nil || all.Len() > 0 {
			t.Fatalf("%d, %v, %q", n, err, all.String())
		}
	}
	gone := errors.New("the reader is gone")
	if _, err := kept.of(failing{gone}).Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("d")); err != nil {
		t.Fatal(err)
	}
	if err := kept.send(); all.String() != "abcd" || !errors.Is(err, gone) {
		t.Errorf("%q, %v", all.String(), err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
