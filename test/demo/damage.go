package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// damage harms one node in every way and measures how long the harm lasts. No resync comes to help:
// what heals, heals because of an event.
func (s *story) damage() {
	s.chapter("Damage on node-a, one by one; the next resync is ten minutes away", "damage, from deed to undone", "healed")
	n := s.lab.Nodes[0]
	for _, h := range n.Harms(s.topology, "node-b") {
		s.harm(n, h)
	}
	s.newPod(n)
}

// harm measures until the deed is undone, then waits until not a trace of it is left: everything
// that the kernel holds is as before.
func (s *story) harm(n *lab.Node, h lab.Harm) {
	before := n.State()
	h.Do()
	took, err := lab.Poll(s.Context(), lab.Patience, h.Undone)
	if err == nil {
		_, err = lab.Poll(s.Context(), lab.Patience, func() error {
			return lab.SameState(before, n.State())
		})
	}
	s.line(h.What, took, err)
}

// newPod shows that the bridge that came back serves old pods and new ones.
func (s *story) newPod(n *lab.Node) {
	fresh := s.addPodQuietly(n, "new-a")
	err := s.pods[len(s.pods)-1].Reach(fresh)
	for _, old := range s.pods {
		if err == nil && old.Node == n {
			err = old.Reach(fresh)
		}
	}
	s.line("the pods of that bridge and a new one reach each other, and node-b", 0, err)
}

// tornFile writes half a topology: nothing may change but the status.
func (s *story) tornFile() {
	s.chapter("Half a file arrives on node-b: refused, and the network stays as it is", "bad file", "held")
	n := s.lab.Nodes[1]
	whole := s.topology.String()
	before := n.State()
	n.Write(whole[:len(whole)/2])
	begin := time.Now()
	c := n.AwaitCondition("StaleTopology", "True")
	s.line("StaleTopology, reason "+c.Reason, time.Since(begin), lab.SameState(before, n.State()))
	out := n.Podnetctl("status")
	fmt.Printf("node-b$ podnetctl status     (exit code %d)\n%s", out.Code, out.Stdout+out.Stderr)
	var err error
	if out.Code != 1 || !strings.Contains(out.Stdout, "StaleTopology") {
		err = fmt.Errorf("exit code %d, want 1 and StaleTopology shown", out.Code)
	}
	s.line("status says so, exit code 1", 0, err)
	n.Write(whole)
	begin = time.Now()
	n.AwaitInForce()
	s.line("the whole file again", time.Since(begin), lab.SameState(before, n.State()))
}

// teardown takes podnet off a node and looks at what is left.
func (s *story) teardown() {
	s.chapter("Teardown on node-c: all of podnet's goes, nothing of anybody else's", "teardown", "held")
	n := s.lab.Nodes[2]
	for _, p := range s.pods {
		if p.Node == n {
			s.line("pod "+p.PodName+", DEL", 0, p.Del())
		}
	}
	s.line("podnetd ends on SIGTERM with 0, the network stays", 0, s.stopped(n))
	begin := time.Now()
	out := n.Podnetctl("teardown")
	took := time.Since(begin)
	fmt.Print("node-c$ podnetctl teardown     (the end of what it says)\n")
	if _, end, ok := strings.Cut(out.Stdout, "\n\nObjects"); ok {
		fmt.Print("Objects" + end)
	} else {
		fmt.Print(out.Stdout + out.Stderr)
	}
	var err error
	if out.Code != 0 {
		err = fmt.Errorf("exit code %d", out.Code)
	}
	s.line("podnetctl teardown", took, err)
	s.line("links, routes and rules are what they were before podnet came", 0, lab.SameState(s.bare[n], n.Network()))
}

func (s *story) stopped(n *lab.Node) error {
	before := n.State()
	if code := n.Stop(); code != 0 {
		return fmt.Errorf("exit code %d", code)
	}
	return lab.SameState(before, n.State())
}
