package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"golang.org/x/sys/unix"
)

// stdin is the FILE that means standard input.
const stdin = "-"

// file is a topology file that was read: whole, and as given on the command line.
type file struct {
	name     string
	data     []byte
	topology *schema.Topology
}

// given reads what the FILE argument names, or the topology in place.
func (c *cli) given(args []string) (agent.Settings, file, error) {
	s, err := c.settings()
	if err != nil {
		return s, file{}, err
	}
	f, err := c.read(c.fileName(args, s.Paths), s.Paths, schema.Parse)
	return s, f, err
}

// fileName is the FILE argument, or the topology in place.
func (c *cli) fileName(args []string, paths state.Paths) string {
	return append(args, c.topologyName(paths))[0]
}

// topologyName is the topology in place as it is called on the command line.
func (c *cli) topologyName(paths state.Paths) string {
	if name, ok := c.shared.Topology(); ok {
		return name
	}
	return paths.Topology
}

// parser is schema.Parse, or one that knows some files already.
type parser func(file string, data []byte) (*schema.Topology, error)

// read reads and checks a topology. The error of an invalid one is a *schema.Invalid, for
// c.invalid.
func (c *cli) read(name string, paths state.Paths, parse parser) (file, error) {
	f := file{name: name}
	var err error
	if f.data, err = c.content(name); err != nil {
		return f, unreadable(err, name, paths)
	}
	f.topology, err = parse(name, f.data)
	return f, err
}

// content is what a file holds, or standard input, as far as a topology can be long.
func (c *cli) content(name string) ([]byte, error) {
	if name == stdin {
		return io.ReadAll(io.LimitReader(c.in, schema.MaxBytes+1))
	}
	return rollout.ReadTopology(name)
}

// unreadable tells whoever has no topology, or none that can be read, how to get one.
func unreadable(err error, name string, paths state.Paths) error {
	path, bad := filepath.Abs(name)
	if !errors.Is(err, fs.ErrNotExist) || bad != nil || path != paths.Topology {
		return withRemedy(err, name)
	}
	if _, kept := os.Stat(paths.LastGood); kept == nil {
		return fmt.Errorf("no topology at %s (put it back, or go on with the last good one: podnetctl apply %s)", name,
			paths.LastGood)
	}
	return fmt.Errorf("no topology at %s (put it there, or name another file)", name)
}

// withRemedy says of a file that cannot be read what to do about it.
func withRemedy(err error, name string) error {
	var p *fs.PathError
	if !errors.As(err, &p) {
		return err
	}
	remedy := "is the disk in order?"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		remedy = "name the topology file, or - for standard input"
	case errors.Is(err, fs.ErrPermission):
		remedy = "run it as root, or have the file readable"
	case errors.Is(err, unix.EISDIR):
		remedy = "name the file in it"
	}
	return fmt.Errorf("%s: %w (%s)", name, p.Err, remedy)
}

// invalid says on standard output what is wrong with a topology, and that this is the answer. An
// error of another sort is returned as it is.
func (c *cli) invalid(err error) error {
	var bad *schema.Invalid
	if !errors.As(err, &bad) {
		return err
	}
	if c.json() {
		v := document.NewValidation(bad.File, bad.Faults, bad.Warnings, bad.Nodes)
		v.Omitted = bad.Omitted
		err = c.writeJSON(v)
	} else {
		err = bad.WriteText(c.out, screen.Paint(c.style()))
	}
	if err != nil {
		return err
	}
	return errNo
}

// refused says on standard output why the guard does not let a valid topology pass, and that this
// is the answer. inPlace: the way on needs no file.
func (c *cli) refused(f file, g reconcile.Guard, inPlace bool) error {
	var err error
	if g = g.For(pathArgument(f.name, inPlace)); c.json() {
		v := document.NewValidation(f.name, nil, f.topology.Warnings, len(f.topology.Nodes))
		v.Guard = &g
		err = c.writeJSON(v)
	} else {
		err = screen.WriteGuard(c.out, c.style(), g)
	}
	if err == nil {
		err = errNo
	}
	return err
}

// pathArgument is what a command needs to find the file again.
func pathArgument(name string, inPlace bool) string {
	if inPlace {
		return ""
	}
	return name
}

// unlisted turns a topology's lack of an entry for this node into a fault of the file.
func unlisted(t *schema.Topology, err error) error {
	var none *reconcile.NoEntryError
	if !errors.As(err, &none) {
		return err
	}
	fault := schema.Fault{Line: max(1, t.Line("nodes")), Column: 1, Field: "nodes", Message: none.Message,
		Remedy: none.Remedy}
	return &schema.Invalid{File: t.File, Faults: []schema.Fault{fault}, Warnings: t.Warnings, Nodes: len(t.Nodes)}
}
