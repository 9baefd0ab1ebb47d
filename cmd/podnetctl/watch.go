package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os/signal"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/agent"
	"golang.org/x/sys/unix"
)

const (
	watchPause = 250 * time.Millisecond // between two looks, however much happens
	watchTick  = time.Second            // ages move without anything happening
	watchShare = 5                      // a look has at most this part of the time: large clusters take longer
)

// watch shows the status anew whenever the daemon writes its own, or the kernel announces
// something, until it is interrupted: on a terminal a live screen, elsewhere a line of JSON for
// each change.
func (c *cli) watch(ctx context.Context, n *node, digest string) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	files := agent.WatchFiles(ctx, slog.New(slog.DiscardHandler), n.Paths.Status, n.Paths.Topology)
	kernel, err := n.Kernel().Watcher.Watch(ctx)
	if err != nil {
		return err
	}
	show := &lines{out: json.NewEncoder(c.out)}
	w := watcher{files: files, kernel: kernel, show: show.show}
	if t := c.terminal(); t != nil && !c.json() {
		live := &liveScreen{cli: c, node: n, terminal: t}
		live.open()
		defer live.close()
		w.show, w.tick = live.show, watchTick
	} else {
		w.tick = watchTick * 10 // a daemon that has fallen silent announces nothing
	}
	return w.run(ctx, func() (screen.Status, error) { return n.look(digest) })
}

// watcher looks when there is a reason to.
type watcher struct {
	files, kernel <-chan struct{}
	tick          time.Duration
	show          func(screen.Status) error
}

func (w *watcher) run(ctx context.Context, look func() (screen.Status, error)) error {
	for ctx.Err() == nil {
		began := time.Now()
		s, err := look()
		if err == nil {
			err = w.show(s)
		}
		if err != nil {
			return err
		}
		w.wait(ctx, max(watchPause, watchShare*time.Since(began)))
	}
	return nil
}

// wait returns when something has happened, but not before the pause is over.
func (w *watcher) wait(ctx context.Context, pause time.Duration) {
	happened := time.After(max(w.tick, pause))
	over := time.After(pause)
	select {
	case <-ctx.Done():
		return
	case <-w.files:
	case <-w.kernel:
	case <-happened:
		return
	}
	select {
	case <-ctx.Done():
	case <-over:
	}
}

// lines is the status as lines of JSON.
type lines struct {
	out  *json.Encoder
	last []byte
}

// show writes a status that differs from the last in more than the time of the look.
func (l *lines) show(s screen.Status) error {
	same := *s.NodeStatus
	same.WrittenAt = time.Time{}
	text, err := json.Marshal(same)
	if err != nil || bytes.Equal(text, l.last) {
		return err
	}
	l.last = text
	return l.out.Encode(s.NodeStatus)
}
