package pods

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/statetest"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/kernel"
	"golang.org/x/sys/unix"
)

// attach leases an address for a pod in a namespace of its own and hangs it on cni0.
func attach(t *testing.T, store *ipam.Store, id string) {
	t.Helper()
	pod := exec.Command("sleep", "60")
	pod.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := pod.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pod.Process.Kill(); _ = pod.Wait() })
	sets, err := ipam.Normalize([]ipam.Set{{ipam.Range{Subnet: netip.MustParsePrefix("10.244.0.0/24")}}})
	if err == nil {
		_, err = store.Reserve(t.Context(), ipam.Owner{ContainerID: id, IfName: "eth0"}, sets)
	}
	if err != nil {
		t.Fatal(err)
	}
	lab.Sh(t, fmt.Sprintf("ip link add %s master cni0 type veth peer name eth0 netns %d", device.VethName("podnet", id, "eth0"), pod.Process.Pid))
}

// A pod that goes while it is being looked at is left out, whatever of it goes first, and the
// others are listed.
func TestPodListWhilePodsGo(t *testing.T) {
	node := statetest.Apart(t)
	store, err := ipam.Open(filepath.Join(t.TempDir(), "podnet"))
	if err != nil {
		t.Fatal(err)
	}
	lab.Sh(t, "ip link add cni0 type bridge")
	for _, id := range []string{"stays", "ended", "namespace"} {
		attach(t, store, id)
	}
	l := newPodList(node, "podnet", store)
	if err := l.leases(); err != nil {
		t.Fatal(err)
	}
	veths, err := node.HostVeths("cni0")
	if err != nil || len(veths) != 3 {
		t.Fatalf("%+v, %v", veths, err)
	}
	lab.Sh(t, "ip link del "+device.VethName("podnet", "ended", "eth0"))
	for _, v := range veths {
		if v.Device == device.VethName("podnet", "namespace", "eth0") {
			v.Namespace = 4711 // a number that the kernel gives to none
		}
		if err := l.veth(v); err != nil {
			t.Error(err)
		}
		if _, err := node.AddrsIn(v); kernel.Vanished(err) != (v.Device != device.VethName("podnet", "stays", "eth0")) {
			t.Errorf("addresses behind %s: %v", v.Device, err)
		}
	}
	if got := l.sorted(); len(got) != 1 || got[0].Owner.ContainerID != "stays" || got[0].Veth.Device == "" {
		t.Errorf("%+v, want the one that stays", got)
	}
}
