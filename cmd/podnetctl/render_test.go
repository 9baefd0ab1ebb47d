package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/document"
)

func TestRenderedDocument(t *testing.T) {
	got := podnetctl(valid, "render", "--node", "node-b", "-o", "json", "-")
	var d document.DesiredState
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
		t.Fatal(err)
	}
	if d.Kind != "DesiredState" || d.Node != "node-b" || d.MTU != 1450 || len(d.Assumed) != 1 || !strings.Contains(string(d.Conflist.Content), "10.244.1.0/24") {
		t.Errorf("%+v", d)
	}
	if !strings.Contains(got.stdout, "-d 10.244.1.0/24 -o cni0 -j ACCEPT") {
		t.Errorf("the rules of the chains are missing:\n%s", got.stdout)
	}
	peers := map[string]int{}
	for _, o := range d.Objects {
		peers[o.Peer]++
	}
	if peers["node-a"] != 6 {
		t.Errorf("objects by peer %v, want 6 of node-a: a sender to the tunnel, two neighbours, an FDB entry, two routes", peers)
	}
}

// Without --node render finds the entry as every other verb does: by the host's addresses too.
func TestRenderOfThisHost(t *testing.T) {
	h := newHost(t)
	for from, want := range map[string]string{"192.0.2.12": "node-b", "192.0.2.98": "no entry's ip is on this host"} {
		text := strings.NewReplacer(from, "192.0.2.11", "192.0.2.11", "192.0.2.99", "node-a", "node-x").Replace(valid)
		if err := h.Do(func() error {
			if got := podnetctl(text, "render", "-"); !strings.Contains(got.stdout, want) || (got.code == 0) != (want == "node-b") {
				t.Errorf("exit code %d, want %q:\n%s%s", got.code, want, got.stdout, got.stderr)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}
