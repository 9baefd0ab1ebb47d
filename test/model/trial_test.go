package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/test/lab"
)

// trial is what the model knows of one: what comes back if it is not confirmed.
type trial struct {
	tried, file, inForce plan
	over                 bool // its time is up, or the host was booted again
}

// followed takes note that the file on disk is in force. One that is not on trial ends a trial.
func (w *world) followed() {
	inForce := w.wanted
	w.inForce = &inForce
	if w.trial != nil && !w.trial.tried.same(inForce) {
		w.trial = nil
	}
}

// beginTrial is a trial of an edited file; nil: the edits come to nothing, or there is one.
func (w *world) beginTrial() *trial {
	if w.trial != nil {
		return nil
	}
	t := &trial{file: w.wanted, inForce: *w.inForce}
	w.wanted.bad = false
	w.edit()
	t.tried = w.wanted
	if t.tried.same(t.inForce) {
		w.wanted = t.file
		return nil
	}
	if t.tried.same(t.file) { // put in place before, and not followed
		t.file = t.inForce
	}
	return t
}

// begun has the model follow a trial.
func (w *world) begun(t *trial) {
	w.trial = t
	w.undone = slices.DeleteFunc(w.undone, t.tried.same)
}

// rolledBack has the model go back: to the file before, unless somebody has put another in place.
func (w *world) rolledBack() {
	t := w.trial
	w.undone = append(w.undone, t.tried)
	if w.wanted.same(t.tried) {
		w.wanted = t.file
	}
	w.inForce, w.trial = &t.inForce, nil
}

// try begins a trial, or ends the one under way: by a word, by the clock, by a reboot, or by a
// process that dies before it has done all.
func (w *world) try() error {
	if w.trial != nil {
		return w.endTrial()
	}
	t := w.beginTrial()
	if t == nil {
		return w.pass()
	}
	id, err := w.engine.Identity()
	if err != nil {
		return err
	}
	v := w.source.Judge(id)
	if _, err := w.source.Begin(&v, []byte(t.tried.String()), time.Hour); err != nil {
		return fmt.Errorf("begin a trial: %w", err)
	}
	w.note("on trial:")
	w.begun(t)
	w.write()
	if w.dice.IntN(2) == 0 {
		after := w.dice.IntN(30)
		w.note("killed after %d changes, and started", after)
		err := w.spoiled(func(n *kernel.Node) reconcile.Applier { return &killed{n, after} })
		if err := errors.Join(err, w.start()); err != nil {
			return err
		}
	}
	return w.pass()
}

func (w *world) endTrial() error {
	switch w.dice.IntN(4) {
	case 0:
		w.note("confirmed")
		w.trial = nil
		return errors.Join(w.source.Confirm(), w.bad(), w.pass())
	case 1:
		w.note("rolled back")
		undone, err := w.engine.Undo(w.source, true)
		if err == nil && undone == nil {
			err = errors.New("there was no trial to roll back")
		}
		w.rolledBack()
		return errors.Join(err, w.sameFile(), w.pass())
	default:
		return w.late()
	}
}

// late has the time of a trial run out, or the host boot again, while nobody sees it.
func (w *world) late() error {
	path := filepath.Join(w.paths.Pending, "trial.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(data)
	if w.dice.IntN(2) == 0 {
		w.note("its time is up")
		at := strings.Index(text, `"deadlineSinceBootNanoseconds": `)
		end := at + strings.IndexByte(text[at:], ',')
		text = text[:at] + `"deadlineSinceBootNanoseconds": 1` + text[end:]
	} else {
		w.note("booted again")
		text = strings.Replace(text, kernel.BootID(), "another-boot", 1)
	}
	w.trial.over = true
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	w.damage()
	after := w.dice.IntN(30)
	w.note("killed after %d changes, and started", after)
	err = w.spoiled(func(n *kernel.Node) reconcile.Applier { return &killed{n, after} })
	return errors.Join(err, w.start(), w.sameFile(), w.pass())
}

// sameFile compares the file in place with the one that the model says has come back.
func (w *world) sameFile() error {
	have, err := os.ReadFile(w.paths.Topology)
	if err == nil && string(have) != w.wanted.String() {
		err = fmt.Errorf("the file in place is\n%s\nnot\n%s", have, w.wanted)
	}
	return err
}

// tryReal puts a file on trial with podnetctl, and ends the trial.
func (w *world) tryReal() error {
	if err := w.pass(); err != nil { // the daemon knows the file that comes back
		return err
	}
	t := w.beginTrial()
	if t == nil {
		return nil
	}
	end := []string{"confirm", "rollback", "", ""}[w.dice.IntN(4)]
	d := "1h"
	if end == "" {
		d = "1s"
	}
	w.note("on trial for %s, then %q:\n%s", d, end, t.tried)
	w.begun(t)
	w.daemon.WriteFile("/trial.yaml", t.tried.String())
	if err := w.podnetctl("apply", "--confirm", d, w.daemon.Path("/trial.yaml")); err != nil {
		return err
	}
	if w.dice.IntN(2) == 0 {
		w.note("kill -9, and started")
		w.daemon.Kill9()
		w.daemon.Launch("--resync", "2s", "--metrics-addr", "")
	}
	if end != "" {
		if err := errors.Join(w.pass(), w.podnetctl(end)); err != nil {
			return err
		}
	}
	if end == "confirm" {
		w.trial = nil
		return w.pass()
	}
	w.rolledBack()
	if _, err := lab.Poll(w.Context(), lab.Patience, w.sameFile); err != nil {
		return err
	}
	return w.pass()
}

func (w *world) podnetctl(args ...string) error {
	if out := w.daemon.Podnetctl(args...); out.Code != 0 {
		return fmt.Errorf("podnetctl %v: exit code %d: %s%s", args, out.Code, out.Stdout, out.Stderr)
	}
	return nil
}
