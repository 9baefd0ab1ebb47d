package plugintest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/test/lab"
)

// withKeys adds keys to a configuration and raises it to the version that has GC and STATUS.
func withKeys(conf, keys string) string {
	conf = strings.Replace(conf, `"cniVersion":"1.0.0"`, `"cniVersion":"1.1.0"`, 1)
	if keys == "" {
		return conf
	}
	return strings.TrimSuffix(conf, "}") + "," + keys + "}"
}

func validKey(pods ...*lab.Pod) string {
	list := []map[string]string{}
	for _, p := range pods {
		list = append(list, map[string]string{"containerID": p.ID, "ifname": "eth0"})
	}
	text, _ := json.Marshal(list) // strings
	return `"cni.dev/valid-attachments":` + string(text)
}

// gc is a GC of the bridge plugin, which has no container.
func (h *host) gc(conf, keys string) {
	h.t.Helper()
	h.must(call{verb: "GC", conf: withKeys(conf, keys)})
}

// GC takes away what is not valid, of this network only, and nothing at all where it is not told
// what is valid.
func TestGC(t *testing.T) {
	for _, own := range []string{"", `,"podnet":{}`} {
		t.Run("own"+own, func(t *testing.T) {
			h := newHost(t)
			a, b, c, other := h.NewPod("a"), h.NewPod("b"), h.NewPod("c"), h.NewPod("other")
			conf := h.conf(`"isGateway":true`+own, ranges46)
			neighbour := strings.Replace(conf, `"name":"net"`, `"name":"net2"`, 1)
			neighbour = strings.NewReplacer("10.1.0.0/24", "10.1.0.0/24\",\"rangeStart\":\"10.1.0.100", "fd00:1::/64", "fd00:1::/64\",\"rangeStart\":\"fd00:1::100").Replace(neighbour)
			for _, p := range []*lab.Pod{a, b, c} {
				h.must(on(p, conf).with("ADD"))
			}
			h.must(on(other, neighbour).with("ADD"))
			all := normal(h.state())
			for _, keys := range []string{"", `"cni.dev/valid-attachments":null`, `"cni.dev/attachments":null`, validKey(a, b, c)} {
				h.gc(conf, keys)
				same(t, "after a GC with "+keys, normal(h.state()), all)
			}

			h.gc(conf, validKey(a))
			for _, addr := range []string{"10.1.0.2", "fd00:1::2", "10.1.0.100", "fd00:1::100"} {
				if err := h.Ping(addr); err != nil {
					t.Error(err)
				}
			}
			same(t, "leases", strings.Join(leaseFiles(t, h), " "), "10.1.0.2 fd00:1::2")
			if n := strings.Count(h.Sh("ip -o link show master br0"), "\n"); n != 2 {
				t.Errorf("%d ports, want 2", n)
			}
			if left := h.podNeighbours(); strings.Contains(left, "10.1.0.3 ") || strings.Contains(left, "fd00:1::4 ") {
				t.Errorf("neighbours left: %s", left)
			}

			h.gc(conf, `"cni.dev/valid-attachments":[]`)
			same(t, "leases", strings.Join(leaseFiles(t, h), " "), "")
			if err := h.Ping("10.1.0.100"); err != nil {
				t.Error(err)
			}
			if n := strings.Count(h.Sh("ip -o link show master br0"), "\n"); n != 1 {
				t.Errorf("%d ports, want that of the other network", n)
			}
		})
	}
}

// GC goes on to an IPAM plugin that is executed.
func TestGCForwarded(t *testing.T) {
	h := newHost(t)
	conf := `{"cniVersion":"1.1.0","name":"net","type":"bridge","bridge":"br0","ipam":{"type":"other"},"cni.dev/valid-attachments":[]}`
	dir := t.TempDir()
	script := "#!/bin/sh\necho $CNI_COMMAND >>" + dir + "/calls\ncat >>" + dir + "/calls\n"
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	h.must(call{verb: "GC", conf: conf, path: dir + ":" + lab.Program("cni")})
	h.must(call{verb: "STATUS", conf: conf, path: dir + ":" + lab.Program("cni")})
	calls, err := os.ReadFile(dir + "/calls")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "calls", string(calls), "GC\n"+conf+"STATUS\n"+conf)
}

// STATUS fails where an ADD would, with a code that says so and what to do, and nowhere else.
func TestStatus(t *testing.T) {
	h := newHost(t)
	small := `"ranges":[[{"subnet":"fd00:1::/64"}],[{"subnet":"10.1.0.0/29"}]]`
	conf := withKeys(h.conf(`"isGateway":true`, small), "")
	status := call{verb: "STATUS", conf: conf}
	h.must(status) // no bridge, no leases
	if links := h.Sh("ip -o link show type bridge group default"); links != "" {
		t.Errorf("STATUS made %s", links)
	}
	var last *lab.Pod
	for i := range 5 {
		last = h.NewPod(fmt.Sprint("p", i))
		h.must(on(last, conf).with("ADD"))
	}
	h.fails(status, 50, "range set 1", "10.1.0.1-10.1.0.6", "5 of 5 addresses")
	direct := call{plugin: "host-local", verb: "STATUS", conf: conf}
	h.fails(direct, 50, "5 of 5 addresses")
	h.must(on(last, conf).with("DEL"))
	h.must(status)
	h.must(direct)
	h.fails(call{verb: "STATUS", conf: strings.Replace(conf, "10.1.0.0/29", "10.1.0.1/29", 1)}, 7, "host bits")
	h.must(call{plugin: "loopback", verb: "STATUS", conf: conf})
	h.must(call{plugin: "loopback", verb: "GC", conf: conf})

	h.Must("ip", "link", "del", "br0")
	h.must(status)
	h.Must("ip", "link", "add", "br0", "type", "veth", "peer", "name", "br1")
	h.fails(status, 51, "br0 exists and is a veth", "ip link del br0")
}

// A bridge without a port left is told from one that has some.
func TestStatusFull(t *testing.T) {
	h := newHost(t)
	var batch strings.Builder
	fmt.Fprintln(&batch, "link add br0 up type bridge")
	for i := range 512 {
		fmt.Fprintf(&batch, "link add a%d master br0 type veth peer name b%d\nlink set b%d master br0\n", i, i, i)
	}
	file := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	status := call{verb: "STATUS", conf: withKeys(h.conf("", ""), "")}
	if out, err := h.Exec("ip", "-force", "-batch", file); err == nil {
		t.Errorf("1024 ports: %s", out)
	}
	h.fails(status, 50, "1023 of 1023 ports")
	h.fails(on(h.NewPod("late"), h.conf("", "")).with("ADD"), 100, "bridge br0 is full", "1023 ports", "fewer pods")
	h.Must("ip", "link", "set", "a7", "nomaster")
	h.must(status)
}

// Whoever cannot get the store's lock in time tells the runtime to try again later, and changes
// nothing.
func TestBusyStore(t *testing.T) {
	h := newHost(t)
	h.must(h.ipam("one", "1.0.0", "", ranges4).with("ADD"))
	lock, err := os.Open(h.leases() + "/net/lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	h.fails(h.ipam("two", "1.0.0", "", ranges4).with("ADD"), 11, "locked by another process", "fuser")
	same(t, "leases", strings.Join(leaseFiles(t, h), " "), "10.1.0.2")
}

// A boot id that cannot be read is said, and the leases of another boot stay.
func TestNoBootID(t *testing.T) {
	h := newHost(t)
	conf := h.ipam("one", "1.0.0", "", `"subnet":"10.1.0.0/29"`)
	h.must(conf.with("ADD"))
	record := h.leases() + "/net/.podnet/record"
	if err := os.WriteFile(record, []byte(`{"version":1,"bootID":"another"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const file = "/proc/sys/kernel/random/boot_id"
	if err := unix.Mount("/dev/null", file, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cover %s: %v", file, err)
	}
	two := h.ipam("two", "1.0.0", "", `"subnet":"10.1.0.0/29"`)
	cmd := exec.Command(lab.Program("cni/host-local"))
	cmd.Env = append(os.Environ(), "CNI_COMMAND=ADD", "CNI_CONTAINERID=two", "CNI_NETNS=/x", "CNI_IFNAME=eth0", "CNI_PATH=/x")
	cmd.Stdin = strings.NewReader(two.conf)
	out, err := cmd.CombinedOutput()
	if err := unix.Unmount(file, 0); err != nil {
		t.Fatal(err)
	}
	if err != nil || !strings.Contains(string(out), "10.1.0.3/29") || !strings.Contains(string(out), "boot_id) cannot be read") {
		t.Errorf("%s %v", out, err)
	}
	h.must(h.ipam("three", "1.0.0", "", `"subnet":"10.1.0.0/29"`).with("ADD"))
	same(t, "leases", strings.Join(leaseFiles(t, h), " "), "10.1.0.2 10.1.0.3 10.1.0.4")
}

// A veth whose name is an invalid attachment's but whose alias says that it is another pod's is
// left alone; one with an operator's alias goes, before its address is somebody else's.
func TestGCForeignAlias(t *testing.T) {
	for alias, stays := range map[string]bool{"other/pod/eth0": true, "uplink of web": false} {
		h := newHost(t)
		p := h.NewPod("a")
		conf := h.conf("", ranges4)
		h.must(on(p, conf).with("ADD"))
		name := device.VethName("net", p.ID, "eth0")
		h.Must("ip", "link", "set", name, "alias", alias)
		h.gc(conf, `"cni.dev/valid-attachments":[]`)
		if links := h.Sh("ip -o link show type veth"); strings.Contains(links, name) != stays {
			t.Errorf("with the alias %q: %s", alias, links)
		}
	}
}
