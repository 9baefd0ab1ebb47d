package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/state/kernel"
	"golang.org/x/term"
)

// lockPatience bounds how long a verb waits for a lock: a pass of the largest topology is over by
// then.
const lockPatience = 2 * time.Minute

// underNodeLock calls do with the node's lock held, after clearing away what a verb that was killed
// has left half written.
func (c *cli) underNodeLock(n *node, do func() error) error {
	return c.underLock(n.Paths.Lock, func() error {
		if err := kernel.RemoveTemporaries(n.Paths); err != nil {
			c.complain("warning: what a killed process has left half written stays: %v", err)
		}
		return do()
	})
}

// underLock calls do with a lock held. Nothing that do prints leaves this process before the lock
// is free, and no key of a terminal stops this process before: a pager, Ctrl-S, Ctrl-Z or a dead
// connection would keep everybody else waiting, podnetd and the end of a trial included.
func (c *cli) underLock(path string, do func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	unlock, err := agent.Lock(ctx, path, c.waiting(path))
	if err != nil {
		return err
	}
	terminal := c.process
	var kept outbox
	c.out, c.err = kept.of(terminal.out), kept.of(terminal.err)
	c.progress = newBar(terminal.err)
	stopAsked := deferStop()
	err = errors.Join(do(), unlock())
	stopAsked()
	c.process = terminal
	c.progress.clear()
	if failed := kept.send(); failed != nil && (err == nil || errors.Is(err, errNo)) {
		return failed
	}
	return err
}

// showProgress shows how far the work under a lock has come.
func (c *cli) showProgress(done, total int) { c.progress.show(done, total) }

// waiting says once, when a lock takes its time, whom it waits for.
func (c *cli) waiting(path string) func() {
	const patience = time.Second
	since, said := time.Now(), false
	return func() {
		if said || time.Since(since) < patience {
			return
		}
		said = true
		holder := agent.FindLockHolder(path)
		c.complain("waiting for %s, which holds %s (%s); Ctrl-C ends the wait", holder, path, holder.Remedy())
	}
}

// deferStop keeps a terminal from stopping this process until the returned function is called,
// which then does what Ctrl-Z asked for meanwhile. SIGSTOP cannot be put off.
func deferStop() (resume func()) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTSTP)
	signal.Ignore(syscall.SIGTTOU, syscall.SIGTTIN) // a write from the background goes through then
	return func() {
		signal.Reset(syscall.SIGTSTP, syscall.SIGTTOU, syscall.SIGTTIN)
		select {
		case <-stop:
			_ = syscall.Kill(os.Getpid(), syscall.SIGTSTP) // it can only fail for another user's process
		default:
		}
	}
}

// outbox keeps what is written to several writers, in its order.
type outbox struct{ letters []letter }

type letter struct {
	to   io.Writer
	text []byte
}

// withheld writes into an outbox instead of to the writer behind it.
type withheld struct {
	box *outbox
	to  io.Writer
}

func (o *outbox) of(to io.Writer) io.Writer { return &withheld{o, to} }

func (w *withheld) Write(b []byte) (int, error) {
	w.box.letters = append(w.box.letters, letter{w.to, bytes.Clone(b)})
	return len(b), nil
}

// send writes everything to where it belongs. A reader that is gone does not keep the others from
// theirs.
func (o *outbox) send() error {
	var failed error
	for _, l := range o.letters {
		if _, err := l.to.Write(l.text); err != nil {
			failed = err
		}
	}
	return failed
}

// terminalOf is the terminal that a writer ends at, nil if it is none.
func terminalOf(w io.Writer) *os.File {
	if kept, is := w.(*withheld); is {
		w = kept.to
	}
	if f, is := w.(*os.File); is && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}
