// Package faults kills plugins, fills disks, cuts the power and races: whatever happens, no address
// may be lost or given twice, and nothing may be left on the host. make faults runs all of it and
// prints a table; go test alone takes samples, and fewer pods, so that it ends in seconds.
package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// report prints a line or table of figures: with all others if a full run was asked for, else in
// the test's log.
func report(t *testing.T, text string) {
	t.Helper()
	if lab.Full() {
		fmt.Println(text)
	} else {
		t.Log("\n" + text)
	}
}

// plugins is what make build made, or CNI_PATH.
func plugins(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CNI_PATH")
	if dir == "" {
		dir = filepath.Join(lab.SourceTree(), "bin/cni")
	}
	if _, err := os.Stat(filepath.Join(dir, "bridge")); err != nil {
		t.Fatalf("no plugins to test: %v (make build)", err)
	}
	return dir
}

func newHost(t *testing.T) *cnihost.Host {
	t.Helper()
	return cnihost.New(t, plugins(t))
}

// bridged is a dual-stack network with five IPv4 addresses to give, so that a lost one is missed.
func bridged(h *cnihost.Host, fields cnihost.Object) cnihost.Object {
	return cnihost.Object{
		"cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0", "isDefaultGateway": true, "hairpinMode": true,
		"ipam": leases(h),
	}.With(fields)
}

const poolSize = 5

func leases(h *cnihost.Host) cnihost.Object {
	return cnihost.Object{"type": "host-local", "dataDir": h.Dir, "ranges": []any{
		[]any{cnihost.Object{"subnet": "10.1.0.0/29"}}, []any{cnihost.Object{"subnet": "fd00:1::/64"}},
	}}
}

// local is the pool of bridged, asked without a bridge.
func local(h *cnihost.Host) cnihost.Object {
	return cnihost.Object{"cniVersion": "1.1.0", "name": "net", "type": "host-local", "ipam": leases(h)}
}

// wholePool takes what the pool has left and gives it back: every address that is not held, and no
// other, none twice.
func wholePool(t *testing.T, h *cnihost.Host, held int) {
	t.Helper()
	seen := map[string]bool{}
	var pods []*cnihost.Pod
	for range poolSize - held {
		p := &cnihost.Pod{Namespace: h.Namespace, ID: "taker", IfName: "taker" + string(rune('a'+len(pods)))}
		r, err := h.Add(p, local(h))
		if err != nil {
			t.Fatalf("address %d of %d that should be free: %v", len(pods)+1, poolSize-held, err)
		}
		for _, ip := range r.IPs {
			if seen[ip.Address] {
				t.Fatalf("%s is given twice", ip.Address)
			}
			seen[ip.Address] = true
		}
		pods = append(pods, p)
	}
	if r, err := h.Add(&cnihost.Pod{Namespace: h.Namespace, ID: "taker", IfName: "one-more"}, local(h)); err == nil {
		t.Fatalf("more addresses than there are: %s", r.Addresses())
	}
	for _, p := range pods {
		h.MustDel(p, local(h))
	}
}
