package systemd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

const dropIn = "/usr/lib/NetworkManager/conf.d/50-podnet.conf"

// networkManager installs it from Debian's packages, and does not start it.
func (b *booted) networkManager() {
	b.t.Helper()
	const here = "/var/tmp/debs"
	if err := lab.CopyDebs("network-manager", b.Path(here)); err != nil {
		b.t.Skip(err)
	}
	b.WriteFile("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
	b.must("chmod", "755", "/usr/sbin/policy-rc.d")
	b.must("sh", "-c", "dpkg -i "+here+"/*.deb")
	b.must("systemctl", "reload", "dbus")
	// The underlay and its bystanders are the lab's own; what is left is podnet's.
	b.WriteFile("/etc/NetworkManager/conf.d/lab.conf", "[keyfile]\nunmanaged-devices=interface-name:eth0,interface-name:other*\n")
}

// knows is how NetworkManager calls the state of a link: unmanaged, connected (externally), and so
// on.
func (b *booted) knows() map[string]string {
	b.t.Helper()
	states := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(b.must("nmcli", "-g", "DEVICE,STATE", "device")), "\n") {
		link, state, _ := strings.Cut(line, ":")
		states[link] = state
	}
	return states
}

// ours are the names of podnet's devices and of the host ends of its pods.
func (b *booted) ours() []string {
	b.t.Helper()
	links := []string{lab.VXLAN, lab.Bridge}
	for _, line := range strings.Split(strings.TrimSpace(b.must("ip", "-br", "link", "show", "group", "7201")), "\n") {
		name, _, _ := strings.Cut(line, "@")
		links = append(links, name)
	}
	return links
}

// managed fails until NetworkManager knows all of podnet's links, and all of them as managed or as
// not.
func (b *booted) managed(want bool) error {
	states := b.knows()
	for _, link := range b.ours() {
		if state := states[link]; state == "" || (state != "unmanaged") != want {
			return fmt.Errorf("NetworkManager says of %s %q, of all: %q", link, state, states)
		}
	}
	return nil
}

// NetworkManager leaves podnet's devices and the host ends of its pods alone: those it finds, and
// those that come later.
func TestNetworkManagerLeavesItAlone(t *testing.T) {
	lengthy(t)
	a, b, topology := two(t)
	a.networkManager()
	a.Write(topology.String())
	a.must("systemctl", "start", "podnetd")
	a.AwaitInForce()
	web, peer := a.pod("web"), b.Pod("peer")
	a.must("systemctl", "restart", "podnetd") // its count of heals begins anew
	a.AwaitInForce()
	state := a.State()

	a.must("systemctl", "start", "NetworkManager")
	a.must("nm-online", "-s", "-q", "-t", "60") // it has looked at every link
	must(t, a.managed(false))
	if err := lab.SameState(state, a.State()); err != nil {
		t.Errorf("NetworkManager changed the node:\n%v", err)
	}
	if status, err := a.Status(); err != nil || status.Healed() != 0 {
		t.Errorf("something had to be healed: %+v, %v", status, err)
	}

	db := a.pod("db")
	a.must("ip", "link", "del", lab.VXLAN)
	a.AwaitInForce()
	lab.Eventually(t, lab.Patience, "the new links unmanaged", func() error { return a.managed(false) })
	if links := a.ours(); len(links) != 4 || slices.Contains(links, "") {
		t.Errorf("the links of two pods and podnet's own: %q", links)
	}
	must(t, web.ping(peer.Addr4(), 3))
	must(t, db.ping(peer.Addr4(), 3))
	if out := a.must("nmcli", "-g", "NAME", "connection"); strings.TrimSpace(out) != "lo" {
		t.Errorf("NetworkManager has made connections:\n%s", out)
	}
}

// What the drop-in is for: without it NetworkManager takes all of them over.
func TestNetworkManagerWouldInterfere(t *testing.T) {
	lengthy(t)
	a, _, topology := two(t)
	a.networkManager()
	a.must("rm", dropIn)
	a.Write(topology.String())
	a.must("systemctl", "start", "podnetd")
	a.AwaitInForce()
	a.pod("web")
	a.must("systemctl", "start", "NetworkManager")
	lab.Eventually(t, 6*lab.Patience, "NetworkManager manages them", func() error { return a.managed(true) })
}
