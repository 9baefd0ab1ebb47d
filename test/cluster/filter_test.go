package cluster

import (
	"strings"
	"testing"
)

// A base chain of nftables that drops what podnet accepts is a condition of the daemon's, with its remedy, and the node's own
// objects are in sync all the same.
func TestForeignFilter(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Must("nft", "add table inet fw; add chain inet fw across { type filter hook forward priority 10; policy drop; }")
	c := n.AwaitCondition("Conflict", "True")
	if !strings.Contains(c.Message, "inet fw across") || !strings.Contains(c.Message, "nft insert rule inet fw across") {
		t.Errorf("condition %+v", c)
	}
	if s, err := n.Status(); err != nil || !s.InSync {
		t.Errorf("in sync: %v, %v; want true", s.InSync, err)
	}
	_, remedy, _ := strings.Cut(c.Message, "remedy: ")
	n.Must("sh", "-c", remedy)
	n.AwaitCondition("Conflict", "False")
}
