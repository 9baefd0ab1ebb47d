package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// pods measures ADD and DEL through podnet's conflist: on one node with podnet's plugins, on another with the reference
// ones. Neither side runs portmap.
func (b bench) pods(count int) {
	l := lab.New(b.TB)
	ours, theirs := l.Node("node-a"), l.Node("node-b")
	topology := l.Topology()
	for _, n := range l.Nodes {
		n.Write(topology.String())
		b.apply(n)
	}
	theirs.CNIPath = b.withoutPortmap()

	type pair struct{ add, del []time.Duration }
	took := map[*lab.Node]*pair{ours: {}, theirs: {}}
	for i := range count {
		for _, n := range l.Nodes {
			p := n.NewPod(fmt.Sprintf("pod-%d", i))
			begin := time.Now()
			if _, err := p.Add(); err != nil {
				b.Fatalf("%v", err)
			}
			took[n].add = append(took[n].add, time.Since(begin))
			begin = time.Now()
			if err := p.Del(); err != nil {
				b.Fatalf("%v", err)
			}
			took[n].del = append(took[n].del, time.Since(begin))
			b.drop(&lab.Node{Namespace: p.Namespace})
		}
	}
	versus("pod ADD, dual stack (other: reference v1.9.1)", took[ours].add, took[theirs].add)
	versus("pod DEL", took[ours].del, took[theirs].del)
}

// withoutPortmap is a directory with the reference plugins that podnet has today.
func (b bench) withoutPortmap() string {
	reference, err := lab.ReferencePlugins()
	if err != nil {
		b.Fatalf("%v", err)
	}
	dir, err := os.MkdirTemp("", "reference")
	if err != nil {
		b.Fatalf("%v", err)
	}
	for _, name := range []string{"bridge", "host-local", "loopback"} {
		target := filepath.Join(reference, name)
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			b.Fatalf("%v", err)
		}
	}
	return dir
}
