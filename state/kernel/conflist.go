package kernel

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/shell"
)

// mostConflist is how long a CNI configuration may be, bytes.
const mostConflist = 1 << 20

// listConflist reports every file of podnet's in the runtime's directory, told by the mark in its
// bridge entry: also one of an earlier name. A damaged file in podnet's place counts as podnet's; a
// sound one without the mark is somebody else's.
func listConflist(n *Node, want *state.Set, live *state.Live) error {
	dir := filepath.Dir(n.Paths.Conflist)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !configFile(e.Name()) && path != n.Paths.Conflist {
			continue
		}
		b, err := files.ReadFile(path, mostConflist)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil && path == n.Paths.Conflist {
			return err
		}
		c := state.Conflist{Path: path, Content: string(b)}
		switch marked, sound := c.Marked(); {
		case marked, path == n.Paths.Conflist && !sound:
			live.Conflists.Add(c, state.OwnNode)
		case path == n.Paths.Conflist && want.Conflists.Len() > 0:
			live.Conflicts = append(live.Conflicts, state.Conflict{
				Key: c.Key(), Name: c.Name(), Blocks: true,
				Owner:  "a CNI configuration that podnet did not write (or choose another --cni-conf-name)",
				Remedy: "mv " + shell.Quote(path) + " " + shell.Quote(path+".disabled"),
			})
		}
	}
	return nil
}

// configFile reports whether container runtimes read a file of this name as a CNI configuration.
func configFile(name string) bool {
	switch filepath.Ext(name) {
	case ".conflist", ".conf", ".json":
		return true
	}
	return false
}

func applyConflist(_ *Node, c *state.Change) error {
	if c.Op == state.Delete {
		err := os.Remove(c.Have.(state.Conflist).Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	want := c.Want.(state.Conflist)
	return files.ReplaceFile(want.Path, []byte(want.Content), 0o644)
}

// HoldConflist removes podnet's conflist unless the bridge that it names is there and podnet's: the
// runtime has to know that the node is not ready, whatever the topology says. On a bridge of
// another owner pods would start in another network.
func (n *Node) HoldConflist() error {
	if err := n.ReadLinks(); err != nil {
		return err
	}
	live := &state.Live{}
	if err := listConflist(n, &state.Set{}, live); err != nil {
		return err
	}
	for _, c := range live.Conflists.Rows() {
		if bridge, err := c.Bridge(); err == nil && n.hasOwnBridge(bridge.Bridge) {
			continue
		}
		if err := applyConflist(n, &state.Change{Op: state.Delete, Have: c}); err != nil {
			return err
		}
	}
	return nil
}

// hasOwnBridge reports whether the last look at the links has found a bridge of podnet's with this
// name.
func (n *Node) hasOwnBridge(name string) bool {
	l, ok := n.Links[name]
	return ok && l.Type() == "bridge" && l.Attrs().Group == device.GroupDevice
}
