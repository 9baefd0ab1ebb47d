package loopback_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(lab.WithPlugins(m, "loopback"))) }

func TestLoopback(t *testing.T) {
	h := cnihost.NewNode(t)
	p := h.NewPod("a")
	lo := func(ns *lab.Namespace) bool {
		out, err := ns.Exec("ip", "-o", "link", "show", "lo")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(out, ",UP")
	}
	c := cnihost.Call{Plugin: "loopback", ID: "x", Netns: p.Path, IfName: "lo", Conf: `{"cniVersion":"1.0.0","name":"lo","type":"loopback"}`}
	if _, err := p.Exec("ip", "link", "set", "lo", "down"); err != nil {
		t.Fatal(err)
	}
	h.Fail(c.With("CHECK"), 103, "down")
	got := h.Succeed(c.With("ADD"))
	cnihost.SameJSON(t, "result", got, `{"cniVersion":"1.0.0","interfaces":[{"name":"lo","mac":"00:00:00:00:00:00","sandbox":"`+p.Path+`"}],
		"ips":[{"interface":0,"address":"127.0.0.1/8"},{"interface":0,"address":"::1/128"}]}`)
	h.Succeed(c.With("CHECK"))
	h.Succeed(c.With("DEL"))
	if lo(p.Namespace) {
		t.Error("lo of the pod is up after DEL")
	}

	// What an earlier plugin gave is handed on.
	const prev = `{"cniVersion":"0.4.0","interfaces":[{"name":"eth0"}],"ips":[{"version":"4","interface":0,"address":"10.1.0.2/24"}]}`
	handed := c
	handed.Conf = `{"cniVersion":"0.4.0","name":"lo","type":"loopback","prevResult":` + prev + `}`
	cnihost.SameJSON(t, "result", h.Succeed(handed.With("ADD")), strings.Replace(prev, `"cniVersion"`, `"dns":{},"cniVersion"`, 1))

	// The host's own lo is nobody's to touch.
	c.Netns = h.Namespace.Path
	h.Fail(c.With("ADD"), 3, "plugin itself runs in")
	h.Succeed(c.With("DEL"))
	if !lo(h.Namespace) {
		t.Error("the host's lo is down")
	}
	for _, gone := range []string{"", "/run/netns/none", filepath.Join(os.TempDir(), "bin")} {
		c.Netns = gone
		h.Succeed(c.With("DEL"))
	}
}
