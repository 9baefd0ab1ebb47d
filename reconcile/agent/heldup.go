package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/podnet/podnet/reconcile/document"
)

// lock takes the node's lock for a pass. However long that takes, the loop shows that it is alive;
// after a second the holder is named in the log and in the status, and looked up again now and
// then. A command line of podnet's that is at work has more time: an apply of thousands of peers on
// a busy machine is nothing to report.
func (d *Daemon) lock(ctx context.Context) (unlock func() error, err error) {
	const (
		patience = time.Second
		ownWork  = 10 * time.Second
		again    = 5 * time.Second
	)
	began, said := time.Now(), time.Time{}
	return Lock(ctx, d.Engine.Paths.Lock, func() {
		d.Turned()
		if time.Since(began) < patience || time.Since(said) < again {
			return
		}
		by := FindLockHolder(d.Engine.Paths.Lock)
		if by.Name == "podnetctl" && !by.Stopped && time.Since(began) < ownWork {
			return
		}
		said = time.Now()
		d.heldUp(by, began)
	})
}

// heldUp puts into the last status who has held the lock since then. What that status says of the
// kernel stays: nobody has looked since.
func (d *Daemon) heldUp(by LockHolder, began time.Time) {
	now := time.Now()
	message := fmt.Sprintf("%s holds %s since %s or before, and nothing on this node is healed until it lets go (%s)",
		by, by.Path, began.Format(time.TimeOnly), by.Remedy())
	before, s := d.status, document.NewNodeStatus()
	if before != nil {
		*s = *before
	}
	if s.Daemon == nil { // no pass of this daemon has ended
		s.Put(since(condition(document.Ready, false, document.ReasonLockHeld, message), now, before))
	}
	if before != nil && before.Condition(document.Degraded).Message == message {
		return
	}
	d.sign(s)
	s.WrittenAt = now
	s.Put(since(condition(document.Degraded, true, document.ReasonLockHeld, message), now, before))
	d.status = s
	d.logConditions(before)
	d.writeStatus(s)
	d.HeldUp(s)
}

// writeStatus replaces the status file. What cannot be written stops nothing. As long as the node's
// ip has not been here, the file of a daemon that works on the same files from another network
// namespace is left alone.
func (d *Daemon) writeStatus(s *document.NodeStatus) {
	if !d.Engine.home && d.Presence != nil && d.Presence.elsewhere() {
		return
	}
	if err := WriteStatus(d.Engine.Paths.Status, s); err != nil {
		d.Log.Error("status not written", "error", err)
	}
}
