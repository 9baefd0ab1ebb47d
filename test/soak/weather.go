package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
)

// weather is what happens to a node, at random.
type weather struct {
	node     *lab.Node
	topology lab.Topology
	pods     []*lab.Pod

	added, deleted, edits, damages int
}

// mostPods are on the node at a time.
const mostPods = 8

func (w *weather) String() string {
	return fmt.Sprintf("%d pods added, %d deleted, %d edits of the topology, %d times damaged", w.added, w.deleted,
		w.edits, w.damages)
}

// event is the next thing that happens.
func (w *weather) event() {
	switch dice := rand.IntN(20); {
	case dice < 6 && len(w.pods) < mostPods:
		w.add()
	case dice < 12 && len(w.pods) > 0:
		w.remove(rand.IntN(len(w.pods)))
	case dice == 12:
		w.edit()
	default:
		w.damage()
	}
}

func (w *weather) add() {
	p := w.node.NewPod(fmt.Sprintf("pod-%d", w.added))
	w.added++
	if _, err := p.Add(); err != nil { // its bridge may just be gone
		_ = p.Del()
		_ = p.Close()
		return
	}
	w.pods = append(w.pods, p)
}

func (w *weather) remove(i int) {
	w.deleted++
	p := w.pods[i]
	w.pods = slices.Delete(w.pods, i, i+1)
	if err := p.Del(); err != nil {
		_ = p.Del() // as a runtime tries again
	}
	_ = p.Close() // what is left of it goes with the lab
}

// edit moves a peer to another address, or the one that was moved back.
func (w *weather) edit() {
	w.edits++
	t := w.topology
	t.Nodes = slices.Clone(t.Nodes)
	if w.edits%2 == 1 {
		t.Nodes[1+rand.IntN(len(t.Nodes)-1)].IP = "172.31.0.1"
	}
	w.node.Write(t.String())
}

// damage does something to the node that podnet has to put right. What is just missing cannot be
// deleted.
func (w *weather) damage() {
	w.damages++
	peer := w.topology.Nodes[1+rand.IntN(len(w.topology.Nodes)-1)]
	mac := contract.VTEPMAC(w.topology.Name, peer.Name)
	hop, _, _ := strings.Cut(peer.PodCIDRs[0], "/")
	lines := []string{
		"ip route del " + peer.PodCIDRs[0],
		"ip -6 route del " + peer.PodCIDRs[1],
		"ip neigh del " + hop + " dev " + lab.VXLAN,
		"ip neigh del " + contract.LinkLocal(mac).String() + " dev " + lab.VXLAN,
		"bridge fdb del " + mac + " dev " + lab.VXLAN + " self",
		"iptables -F PODNET-FORWARD",
		"ip link set " + lab.VXLAN + " down",
	}
	if rand.IntN(20) == 0 {
		lines = []string{"ip link del " + lab.VXLAN, "ip link del " + lab.Bridge}
	}
	_, _ = w.node.Exec(strings.Fields(lines[rand.IntN(len(lines))])...)
}

// calm ends it: every pod goes, and the topology is as it was.
func (w *weather) calm() {
	for len(w.pods) > 0 {
		w.remove(0)
	}
	w.node.Write(w.topology.String())
}

// leases counts the addresses that are taken.
func leases(n *lab.Node) int {
	files, err := filepath.Glob(n.Path("/var/lib/cni/networks/podnet/*"))
	if err != nil {
		return 0
	}
	count := 0
	for _, f := range files {
		info, err := os.Stat(f)
		name := filepath.Base(f)
		if err == nil && info.Mode().IsRegular() && name != "lock" && !strings.HasPrefix(name, "last_reserved_ip") {
			count++
		}
	}
	return count
}
