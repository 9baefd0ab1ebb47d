package state

import "github.com/vishvananda/netlink"

// Pods counts the pods of this node as the kernel shows them: host veths of podnet's own network, and whatever else is a
// port of the bridge.
func (n *Node) Pods(bridge string) (int, error) {
	if err := n.readLinks(); err != nil {
		return 0, err
	}
	return n.pods(bridge), nil
}

func (n *Node) pods(bridge string) int {
	count, master := 0, n.index(bridge)
	for _, l := range n.links {
		if isPod(l.Attrs(), master) {
			count++
		}
	}
	return count
}

func isPod(a *netlink.LinkAttrs, bridge int) bool {
	return a.Group == GroupPod || bridge != 0 && a.MasterIndex == bridge
}
