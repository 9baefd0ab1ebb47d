package main

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/test/lab"
)

// A host that has the node's ip as well, as a machine that was cloned has, is named by its MAC. A
// second link of the node's own in the same network answers too, and is nobody else.
func TestDoctorKnowsAClone(t *testing.T) {
	l := lab.New(t)
	h := host{l.Node("node-a"), t}
	h.installPlugins()
	h.Write(valid)
	h.runWith("", 0, "apply")
	claims := func(code int) (found []document.Finding) {
		t.Helper()
		for _, f := range h.examined(code) {
			if f.ID == "ip-claimed" {
				found = append(found, f)
			}
		}
		return found
	}
	if err := l.Outside().Batch("ip", "link add port99 type veth peer name eth1 netns "+h.Name, "link set port99 master switch up"); err != nil {
		t.Fatal(err)
	}
	h.Sh("ip link set eth1 up")
	if found := claims(0); len(found) > 0 {
		t.Errorf("a second link of the node's own: %+v", found)
	}

	clone := l.Node("clone")
	clone.Sh("ip addr add " + h.IP4 + "/24 dev eth0")
	mac := strings.Fields(clone.Sh("ip -br link show eth0"))[2]
	found := claims(1)
	if len(found) != 1 || found[0].Object != h.IP4 || !strings.Contains(found[0].Owner, mac) {
		t.Fatalf("want the clone's MAC %s: %+v", mac, found)
	}
	h.paste(found[0].Remedy)
	clone.Sh("ip addr del " + h.IP4 + "/24 dev eth0")
	if found := claims(0); len(found) > 0 {
		t.Errorf("after the clone has let go: %+v", found)
	}
}
