package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// badTemplates has a machine push two bad files to all nodes at once. Nothing may break on any of
// them, while pods ping.
func (s *story) badTemplates() {
	cut := s.topology
	cut.Nodes = cut.Nodes[:len(cut.Nodes)/2]
	shifted := s.topology
	shifted.Nodes = nil
	for i, e := range s.topology.Nodes {
		e.PodCIDRs = []string{lab.PodCIDR4(i + 1), lab.PodCIDR6(i + 1)}
		shifted.Nodes = append(shifted.Nodes, e)
	}
	s.pushed("A topology that was cut off between two nodes arrives on all nodes at once", "file cut off", cut,
		"it was probably cut off")
	s.pushed("One with all podCIDRs shifted by one arrives on all nodes at once", "podCIDRs shifted", shifted,
		"the podCIDRs that another node had")
}

// pushed writes a bad file to every node, looks at what that does, which is nothing, and writes the
// good one again.
func (s *story) pushed(title, name string, bad lab.Topology, why string) {
	s.chapter(title, name, "held")
	before := map[*lab.Node]string{}
	for _, n := range s.lab.Nodes {
		before[n] = n.State()
	}
	from := s.pods[0]
	to := s.pods[slices.IndexFunc(s.pods, func(p *lab.Pod) bool { return p.Node != from.Node })]
	floods := []*lab.Flood{from.Flood(to.Addr4()), from.Flood(to.Addr6())}
	for _, n := range s.lab.Nodes {
		n.Write(bad.String())
	}
	for _, n := range s.lab.Nodes {
		c := n.AwaitCondition("StaleTopology", "True")
		s.line(n.Host+" refuses it, and its kernel is as before: "+c.Reason, 0, lab.SameState(before[n], n.State()))
	}
	s.told(s.lab.Nodes[0], why)
	begin := time.Now()
	for _, n := range s.lab.Nodes {
		n.Write(s.topology.String())
	}
	for _, n := range s.lab.Nodes {
		n.AwaitInForce()
	}
	s.line("the good file again: in force on all nodes", time.Since(begin), nil)
	for _, f := range floods {
		answered, lost := f.Stop()
		var err error
		if len(lost) > 0 {
			err = fmt.Errorf("%d lost", len(lost))
		}
		s.line(fmt.Sprintf("%s pinged %s on %s all the time: %d answered, %d lost", from.PodName, to.PodName, to.Node.Host,
			answered, len(lost)), 0, err)
	}
}

// told shows what status says of a refused file.
func (s *story) told(n *lab.Node, why string) {
	out := n.Podnetctl("status")
	said, _, _ := strings.Cut(out.Stdout, "\n\nTopology")
	fmt.Printf("%s$ podnetctl status     (exit code %d)\n%s\n", n.Host, out.Code, said)
	var err error
	if unwrapped := strings.Join(strings.Fields(said), " "); out.Code != 1 || !strings.Contains(unwrapped, why) {
		err = fmt.Errorf("exit code %d, want 1 and %q", out.Code, why)
	}
	s.line("status says why, exit code 1", 0, err)
}
