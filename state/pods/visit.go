package pods

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/netns"
)

// Namespace is a pod's network namespace, for a person's command line: podnetd enters none.
type Namespace struct {
	Path string // for nsenter --net=PATH; "": this one
}

// NamespaceOf finds the file of the namespace in which the pod's end of a veth is, by the number
// that the kernel gives it here; false: no file that this process sees leads there.
func NamespaceOf(n *kernel.Node, v kernel.HostVeth) (Namespace, bool) {
	if v.Namespace < 0 {
		return Namespace{}, false
	}
	for _, pattern := range []string{"/run/netns/*", "/run/docker/netns/*", "/proc/[0-9]*/ns/net"} {
		paths, _ := filepath.Glob(pattern) // its only error is of the pattern
		for _, path := range paths {
			if numberOf(n, path) == int(v.Namespace) {
				return Namespace{path}, true
			}
		}
	}
	return Namespace{}, false
}

// numberOf is the number of a namespace in this one, -1 if it has none or cannot be opened.
func numberOf(n *kernel.Node, path string) int {
	f, err := os.Open(path)
	if err != nil {
		return -1
	}
	defer f.Close()
	number, err := n.Handle.GetNetNsIdByFd(int(f.Fd()))
	if err != nil {
		return -1
	}
	return number
}

// Do runs f on a thread that is in the namespace: sockets that it opens belong there.
func (s Namespace) Do(f func() error) error {
	if s.Path == "" {
		return f()
	}
	there, err := netns.Open(s.Path)
	if errors.Is(err, netns.ErrHost) {
		return f()
	}
	if err != nil {
		return err
	}
	defer there.Close()
	return there.Do(f)
}

// Open opens the namespace as a node of its own, to ask the kernel there.
func (s Namespace) Open() (*kernel.Node, error) {
	var n *kernel.Node
	err := s.Do(func() (err error) {
		n, err = kernel.Open(state.Paths{})
		return err
	})
	return n, err
}
