package plugintest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func sameJSON(t *testing.T, what, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%s: %v: %s", what, err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

func TestLoopback(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	lo := func(ns *lab.Namespace) bool {
		out, err := ns.Exec("ip", "-o", "link", "show", "lo")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(out, ",UP")
	}
	c := call{plugin: "loopback", id: "x", netns: p.Path, ifname: "lo", conf: `{"cniVersion":"1.0.0","name":"lo","type":"loopback"}`}
	if _, err := p.Exec("ip", "link", "set", "lo", "down"); err != nil {
		t.Fatal(err)
	}
	h.fails(c.with("CHECK"), 103, "down")
	got := h.must(c.with("ADD"))
	sameJSON(t, "result", got, `{"cniVersion":"1.0.0","interfaces":[{"name":"lo","mac":"00:00:00:00:00:00","sandbox":"`+p.Path+`"}],
		"ips":[{"interface":0,"address":"127.0.0.1/8"},{"interface":0,"address":"::1/128"}]}`)
	h.must(c.with("CHECK"))
	h.must(c.with("DEL"))
	if lo(p.Namespace) {
		t.Error("lo of the pod is up after DEL")
	}

	// What an earlier plugin gave is handed on.
	const prev = `{"cniVersion":"0.4.0","interfaces":[{"name":"eth0"}],"ips":[{"version":"4","interface":0,"address":"10.1.0.2/24"}]}`
	handed := c
	handed.conf = `{"cniVersion":"0.4.0","name":"lo","type":"loopback","prevResult":` + prev + `}`
	sameJSON(t, "result", h.must(handed.with("ADD")), strings.Replace(prev, `"cniVersion"`, `"dns":{},"cniVersion"`, 1))

	// The host's own lo is nobody's to touch.
	c.netns = h.Namespace.Path
	h.fails(c.with("ADD"), 3, "plugin itself runs in")
	h.must(c.with("DEL"))
	if !lo(h.Namespace) {
		t.Error("the host's lo is down")
	}
	for _, gone := range []string{"", "/run/netns/none", filepath.Join(os.TempDir(), "bin")} {
		c.netns = gone
		h.must(c.with("DEL"))
	}
}
