package pods_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/state/pods"
	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/statetest"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
)

// Only what is podnet's, without a host veth and not being added goes: leases of live pods, of
// another bridge plugin's too, of pods that may be being added and of other plugins stay, and so
// does every veth that is not marked as leaving.
func TestCollect(t *testing.T) {
	node, paths := statetest.Host(t)
	dir := filepath.Join(paths.IPAMDataDir, "podnet")
	store, err := ipam.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	subnet := netip.MustParsePrefix("10.244.0.0/24")
	sets, err := ipam.Normalize([]ipam.Set{{ipam.Range{Subnet: subnet}}})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	old := time.Now().Add(-time.Hour)
	for _, id := range []string{"alive", "gone", "elsewhere", "young"} {
		grants, err := store.Reserve(t.Context(), ipam.Owner{ContainerID: id, IfName: "eth0"}, sets)
		if err != nil {
			t.Fatal(err)
		}
		at[id] = grants[0].Addr.Addr().String()
		if id == "young" {
			continue
		}
		if err := os.Chtimes(filepath.Join(dir, at[id]), old, old); err != nil {
			t.Fatal(err)
		}
	}
	at["other"] = "10.244.0.200"
	if err := os.WriteFile(filepath.Join(dir, at["other"]), []byte("other\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	lab.Sh(t, "ip link add cni0 group 7200 type bridge")
	lab.Sh(t, "ip link add docker0 type bridge")
	lab.Sh(t, "ip netns add elsewhere")
	defer lab.Sh(t, "ip netns del elsewhere")
	lab.Sh(t, "ip link add veth1234abcd master cni0 type veth peer name eth0 netns elsewhere")
	lab.Sh(t, "ip -n elsewhere addr add "+at["elsewhere"]+"/24 dev eth0")
	lab.Sh(t, "ip link add "+device.VethName("podnet", "alive", "eth0")+" group 7201 type veth peer name p0")
	for _, leaving := range []string{"l1", "l2", "l3"} {
		lab.Sh(t, "ip link add "+leaving+" group 7202 type veth peer name peer-"+leaving)
	}
	for _, addr := range at {
		for _, bridge := range []string{"cni0", "docker0"} {
			lab.Sh(t, "ip neigh add "+addr+" lladdr 02:00:00:00:00:01 dev "+bridge+" nud stale extern_learn")
		}
	}
	g, err := pods.Collect(node, t.Context(), "podnet")
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Freed) != 1 || g.Freed[0].Owner.ContainerID != "gone" || g.Veths != 3 || len(g.Kept) != 1 || g.Kept[0].Owner.ContainerID != "other" {
		t.Errorf("%+v", g)
	}
	for id, addr := range at {
		if _, err := os.Stat(filepath.Join(dir, addr)); (err == nil) != (id != "gone") {
			t.Errorf("lease of %s: %v", id, err)
		}
	}
	for id, addr := range at {
		for _, bridge := range []string{"cni0", "docker0"} {
			entry := lab.Sh(t, "ip neigh show "+addr+" dev "+bridge)
			if goes := id == "gone" && bridge == "cni0"; (entry == "") != goes {
				t.Errorf("neighbour of %s on %s: %q", id, bridge, entry)
			}
		}
	}
	links := lab.Sh(t, "ip -o link")
	if strings.Contains(links, "group 7202") || !strings.Contains(links, device.VethName("podnet", "alive", "eth0")) {
		t.Errorf("links\n%s", links)
	}
	if g, err := pods.Collect(node, t.Context(), "podnet"); err != nil || len(g.Freed)+g.Veths != 0 {
		t.Errorf("again: %+v, %v", g, err)
	}
	lab.Sh(t, "ip link del veth1234abcd")
	g, err = pods.Collect(node, t.Context(), "podnet")
	if err != nil || len(g.Freed) != 1 || g.Freed[0].Owner.ContainerID != "elsewhere" {
		t.Errorf("without the other plugin's pod: %+v, %v", g, err)
	}
}

// A lease that the bridge plugin made once may be of a pod that another one has connected since,
// with the same address: a container that is started again keeps its id, and may ask for its
// address.
func TestCollectSparesAPodThatAnotherPluginConnectedAgain(t *testing.T) {
	node, paths := statetest.Host(t)
	dir := filepath.Join(paths.IPAMDataDir, "podnet")
	addr := reserveOld(t, dir, "again")
	bindLeases(t, dir)
	connectForeign(t, addr+"/24")
	if g, err := pods.Collect(node, t.Context(), "podnet"); err != nil || len(g.Freed) != 0 {
		t.Errorf("%+v, %v", g, err)
	}
	lab.Sh(t, "ip -n elsewhere addr flush dev eth0")
	if g, err := pods.Collect(node, t.Context(), "podnet"); err != nil || len(g.Freed) != 1 {
		t.Errorf("without the address: %+v, %v", g, err)
	}
}

// A port that leads to a pod without an address may be that of any lease that another bridge plugin
// asked for: a pod may take its address away for a while, or for good to give it to a virtual
// machine.
func TestCollectSparesWhatAPodWithoutAddressMayHave(t *testing.T) {
	node, paths := statetest.Host(t)
	reserveOld(t, filepath.Join(paths.IPAMDataDir, "podnet"), "silent")
	connectForeign(t, "")
	lab.Sh(t, "ip -n elsewhere link set eth0 up") // a link-local address is none
	if g, err := pods.Collect(node, t.Context(), "podnet"); err != nil || len(g.Freed) != 0 {
		t.Errorf("%+v, %v", g, err)
	}
	lab.Sh(t, "ip link del veth1234abcd")
	if g, err := pods.Collect(node, t.Context(), "podnet"); err != nil || len(g.Freed) != 1 {
		t.Errorf("without the pod: %+v, %v", g, err)
	}
}

// A pod of another bridge plugin whose bridge was deleted is no port of anything, and alive: its
// veth leads to its address.
func TestCollectSparesAPodThatIsNoPort(t *testing.T) {
	node, paths := statetest.Host(t)
	addr := reserveOld(t, filepath.Join(paths.IPAMDataDir, "podnet"), "unplugged")
	connectForeign(t, addr+"/24")
	lab.Sh(t, "ip -n elsewhere link add inner type bridge")
	for _, change := range []string{"ip link del cni0", "ip -n elsewhere addr del " + addr + "/24 dev eth0", "ip -n elsewhere addr add " + addr + "/32 dev inner"} {
		lab.Sh(t, change) // in between it has no address: it may be anybody's
		if g, err := pods.Collect(node, t.Context(), "podnet"); err != nil || len(g.Freed) != 0 {
			t.Errorf("after %s: %+v, %v", change, g, err)
		}
	}
	lab.Sh(t, "ip link del veth1234abcd")
	if g, err := pods.Collect(node, t.Context(), "podnet"); err != nil || len(g.Freed) != 1 {
		t.Errorf("without its veth: %+v, %v", g, err)
	}
}

// A pod of another bridge plugin that is no port of anything is named, with the command that gives
// it its way out back; the veths of other networks are nobody's to judge.
func TestUnpluggedPod(t *testing.T) {
	node, paths := statetest.Host(t)
	want := statetest.Desired(t, statetest.Load(t, "../../examples/dual-stack.yaml"), "node-a", statetest.Ethernet(), paths)
	statetest.Converge(t, node, want)
	lab.Sh(t, "ip netns add elsewhere")
	defer lab.Sh(t, "ip netns del elsewhere")
	lab.Sh(t, "ip link add veth1234abcd up type veth peer name eth0 netns elsewhere")
	lab.Sh(t, "ip -n elsewhere link set eth0 up")
	lab.Sh(t, "ip -n elsewhere addr add 10.99.0.7/24 dev eth0")
	if _, live := statetest.Changes(t, node, want); len(live.Conflicts) != 0 {
		t.Errorf("another network's: %+v", live.Conflicts)
	}
	lab.Sh(t, "ip -n elsewhere addr add 10.244.0.7/24 dev eth0")
	_, live := statetest.Changes(t, node, want)
	if len(live.Conflicts) != 1 || live.Conflicts[0].Object() != "veth1234abcd" || live.Conflicts[0].Counts || !strings.Contains(live.Conflicts[0].Owner, "10.244.0.7") {
		t.Fatalf("%+v", live.Conflicts)
	}
	lab.Sh(t, live.Conflicts[0].Remedy)
	if _, live := statetest.Changes(t, node, want); len(live.Conflicts) != 0 {
		t.Errorf("after the remedy: %+v", live.Conflicts)
	}
	lab.Sh(t, "ip netns exec elsewhere ping -c 1 -W 5 10.244.0.1")
}

// A clock that was set back does not make a lease young for ever.
func TestCollectAfterTheClockWasSetBack(t *testing.T) {
	node, paths := statetest.Host(t)
	dir := filepath.Join(paths.IPAMDataDir, "podnet")
	addr := reserveOld(t, dir, "gone")
	future := time.Now().Add(24 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, addr), future, future); err != nil {
		t.Fatal(err)
	}
	if g, err := pods.Collect(node, t.Context(), "podnet"); err != nil || len(g.Freed) != 1 {
		t.Errorf("%+v, %v", g, err)
	}
}

// Only the namespace that has the node's ip is the one of its pods.
func TestAtHome(t *testing.T) {
	node, _ := statetest.Host(t)
	lab.Sh(t, "ip link add ul type bridge")
	network := pods.PodNetwork{Name: "podnet", Node: "node-a", IP: netip.MustParseAddr("192.0.2.77")}
	if err := pods.AtHome(node, network); !errors.As(err, new(*pods.AwayError)) || !strings.Contains(err.Error(), "192.0.2.77, the ip of node-a") {
		t.Error(err)
	}
	lab.Sh(t, "ip addr add 192.0.2.77/24 dev ul")
	if err := pods.AtHome(node, network); err != nil {
		t.Error(err)
	}
}

// reserveOld makes a lease that is older than any ADD takes.
func reserveOld(t *testing.T, dir, id string) (addr string) {
	t.Helper()
	store, err := ipam.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	sets, err := ipam.Normalize([]ipam.Set{{ipam.Range{Subnet: netip.MustParsePrefix("10.244.0.0/24")}}})
	if err != nil {
		t.Fatal(err)
	}
	grants, err := store.Reserve(t.Context(), ipam.Owner{ContainerID: id, IfName: "eth0"}, sets)
	if err != nil {
		t.Fatal(err)
	}
	addr = grants[0].Addr.Addr().String()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, addr), old, old); err != nil {
		t.Fatal(err)
	}
	return addr
}

// bindLeases has the index say that all leases are of bridge plugins, which have ended.
func bindLeases(t *testing.T, dir string) {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(dir, ".podnet/owners/*"))
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		target, err := os.Readlink(e)
		_, rest, _ := strings.Cut(target, " ")
		if err := errors.Join(err, os.Remove(e), os.Symlink("podnet-bridge "+rest, e)); err != nil {
			t.Fatal(err)
		}
	}
}

// connectForeign connects a namespace to a bridge as other plugins do.
func connectForeign(t *testing.T, addr string) {
	t.Helper()
	lab.Sh(t, "ip link add cni0 group 7200 type bridge")
	lab.Sh(t, "ip netns add elsewhere")
	t.Cleanup(func() { lab.Sh(t, "ip netns del elsewhere") })
	lab.Sh(t, "ip link add veth1234abcd master cni0 type veth peer name eth0 netns elsewhere")
	if addr != "" {
		lab.Sh(t, "ip -n elsewhere addr add "+addr+" dev eth0")
	}
}
