package doctor

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/inspect"
	"github.com/podnet/podnet/state/inspect/host"
)

func TestSpoilsChecksums(t *testing.T) {
	for release, want := range map[string]bool{
		"3.10.0-1160.el7.x86_64": true, "4.14.180": true, "4.14.181": false, "4.18.0-305.el8.x86_64": true, "4.19.122-1-amd64": true, "4.19.123": false,
		"5.4.40": true, "5.4.41-generic": false, "5.5.19": true, "5.6.13": false, "5.7.0-rc1": false, "5.10.0-8-amd64": false, "6.1.0": false, "6.18": false, "": false,
	} {
		if got := spoilsChecksums(release); got != want {
			t.Errorf("%q: %v, want %v", release, got, want)
		}
	}
}

func TestOffload(t *testing.T) {
	on := map[string]bool{"tx-checksum-ip-generic": true, "tx-udp_tnl-segmentation": true}
	f := Subject{Tunnel: "podnet.1", Offloads: []inspect.Offload{{Device: "podnet.1", Driver: "vxlan", Features: on}, {Device: "ens192", Driver: "vmxnet3", Features: on}}}
	f.Host.Kernel = "5.4.0-26-generic"
	if got := offload(f); len(got) != 2 || got[0].Remedy != "ethtool -K podnet.1 tx-checksum-ip-generic off" ||
		got[1].Remedy != "ethtool -K ens192 tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off" {
		t.Errorf("%+v", got)
	}
	f.Host.Kernel = "6.1.0"
	f.Offloads[1].Driver = "mlx5_core"
	if got := offload(f); len(got) != 0 {
		t.Errorf("a kernel and a driver without fault: %+v", got)
	}
}

// The thresholds are the machine's, so that no namespace can try them: what is set has to end the
// finding.
func TestNeighbours(t *testing.T) {
	for _, c := range []struct {
		cidr string
		have int
		want bool
	}{
		{"10.244.0.0/24", 1024, false}, {"10.244.0.0/22", 1024, true}, {"10.244.0.0/24", 128, true}, {"fd00::/64", 1024, true}, {"fd00::/64", 4096, false},
	} {
		node := &schema.Node{PodCIDRs: []netip.Prefix{netip.MustParsePrefix(c.cidr)}}
		f := Subject{Plan: &reconcile.Plan{View: reconcile.View{Node: node}}, Host: host.Settings{Neighbours: map[string]int{"ipv4": c.have, "ipv6": c.have}}}
		got := neighbours(f)
		if (len(got) == 1) != c.want {
			t.Errorf("%s with %d: %+v", c.cidr, c.have, got)
		}
		if c.want && !strings.Contains(got[0].Remedy, "gc_thresh3=") {
			t.Errorf("remedy %s", got[0].Remedy)
		}
	}
}
