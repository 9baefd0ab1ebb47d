package systemd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// Pods ping through an upgrade, a removal and a purge without losing a packet; a teardown is what
// ends the network.
func TestPackageLifeUnderPings(t *testing.T) {
	lengthy(t)
	a, b, topology := two(t)
	if state := a.show("ActiveState"); state != "inactive" {
		t.Errorf("after the installation podnetd is %s", state)
	}
	a.Write(topology.String())
	a.must("systemctl", "enable", "--now", "podnetd")
	a.AwaitInForce()
	web, peer := a.pod("web"), b.Pod("peer")
	const atLeast = 3 * time.Second
	under := func(what string, do func()) {
		t.Helper()
		pinged := make(chan error, 1)
		go func() { pinged <- web.ping(peer.Addr4(), int(atLeast/(50*time.Millisecond))) }()
		do()
		if err := <-pinged; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}

	before := a.show("MainPID")
	a.must("sh", "-c", `cd /var/tmp && dpkg-deb -R podnet.deb next && sed -i 's/^Version: .*/Version: 9999/' next/DEBIAN/control && dpkg-deb -Znone -b next next.deb`)
	under("upgrade", func() { a.must("dpkg", "-i", "/var/tmp/next.deb") })
	if now := a.show("MainPID"); now == before || now == "0" {
		t.Errorf("podnetd is process %s after the upgrade, was %s", now, before)
	}
	a.AwaitInForce()
	if status, err := a.Status(); err != nil || status.Healed() != 0 {
		t.Errorf("the upgrade left something to heal: %+v, %v", status, err)
	}

	under("removal", func() { a.must("dpkg", "-r", "podnet") })
	must(t, a.CheckPeers(topology))
	if out, _ := a.do("systemctl", "is-active", "podnetd"); strings.TrimSpace(out) == "active" {
		t.Error("podnetd runs after the removal")
	}
	under("purge", func() { a.must("dpkg", "-P", "podnet") })
	under("installation over it", func() {
		a.must("dpkg", "-i", "/var/tmp/podnet.deb")
		a.must("systemctl", "start", "podnetd")
	})
	a.AwaitInForce()
}

// systemd-networkd and udev leave podnet's devices, addresses and routes alone, whatever else they
// are told.
func TestNetworkdLeavesItAlone(t *testing.T) {
	lengthy(t)
	a, _, topology := two(t)
	a.Write(topology.String())
	a.must("systemctl", "start", "podnetd")
	a.AwaitInForce()
	a.pod("web")
	a.WriteFile("/etc/systemd/network/90-everything.network", "[Match]\nName=podnet.* cni0 veth*\n[Network]\nLinkLocalAddressing=no\n")
	a.must("systemctl", "restart", "podnetd") // its count of heals begins anew
	a.AwaitInForce()
	state := a.State()
	a.must("systemctl", "start", "systemd-networkd")
	lab.Eventually(t, lab.Patience, "networkd answers", func() error { // it is started before it has its name on the bus
		_, err := a.do("networkctl", "reload")
		return err
	})
	a.must("networkctl", "reconfigure", "lo")
	for _, link := range []string{lab.VXLAN, lab.Bridge} {
		if out := a.must("networkctl", "--no-pager", "status", link); !strings.Contains(out, "(unmanaged)") {
			t.Errorf("networkd manages %s:\n%s", link, out)
		}
	}
	if err := lab.SameState(state, a.State()); err != nil {
		t.Errorf("networkd changed the node:\n%v", err)
	}
	if status, err := a.Status(); err != nil || status.Healed() != 0 {
		t.Errorf("something had to be healed: %+v, %v", status, err)
	}

	// What our .network is for: without it the file above holds, and the pod is off its bridge.
	// (The drop-in for networkd itself stays: without that the routes and rules of others go too,
	// as the lab would find.)
	a.must("rm", "/usr/lib/systemd/network/10-podnet.network")
	a.must("systemctl", "restart", "systemd-networkd")
	lab.Eventually(t, 2*lab.Patience, "networkd interferes without our .network", func() error {
		status, err := a.Status()
		if err == nil && status.Healed() == 0 {
			err = fmt.Errorf("nothing had to be healed: %+v", status)
		}
		return err
	})
}
