package doctor

import (
	"slices"
	"testing"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/inspect/host"
	"github.com/podnet/podnet/state/runtimes"
)

// A runtime that takes several configurations gives pods further networks: those behind podnet's
// are named, as far as it takes them.
func TestFurtherNetworks(t *testing.T) {
	const dir = "/etc/cni/net.d/"
	for _, c := range []struct {
		most int
		cri  bool
		want []string
	}{
		{1, true, nil}, {0, true, []string{dir + "20-b.conf", dir + "30-c.conf"}}, {2, true, nil}, {3, true, []string{dir + "20-b.conf"}},
		{9, true, []string{dir + "20-b.conf", dir + "30-c.conf"}}, {0, false, nil},
	} {
		f := Subject{Paths: state.DefaultPaths("/"), Host: host.Settings{Conflists: []string{"05-a.conf", "10-podnet.conflist", "20-b.conf", "30-c.conf"}}}
		f.Runtimes.Lookups = []runtimes.Lookup{{Runtime: runtimes.Runtime{Name: "containerd", MaxConfs: c.most, CRI: c.cri}, Reads: true}}
		var got []string
		for _, found := range CheckRuntimes(f) {
			if got = append(got, found.Object); found.ID != "conflist-further" || found.Severity != document.SeverityWarning {
				t.Errorf("%+v", found)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("of %d: %v, want %v", c.most, got, c.want)
		}
	}
}

// What this user may not read may be in order: it is no finding.
func TestDeniedIsNoFinding(t *testing.T) {
	f := Subject{Runtimes: Runtimes{Faults: []runtimes.Fault{{Runtime: "containerd", Path: "/x", Problem: "cannot be read", Denied: true}}}}
	if got := CheckRuntimes(f); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
