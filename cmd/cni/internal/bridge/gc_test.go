package bridge_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/test/cnihost"
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
	h.T.Helper()
	h.Succeed(cnihost.Call{Plugin: "bridge", Verb: "GC", Conf: withKeys(conf, keys)})
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
				h.Succeed(on(p, conf).With("ADD"))
			}
			h.Succeed(on(other, neighbour).With("ADD"))
			all := normal(h.state())
			for _, keys := range []string{"", `"cni.dev/valid-attachments":null`, `"cni.dev/attachments":null`, validKey(a, b, c)} {
				h.gc(conf, keys)
				cnihost.Same(t, "after a GC with "+keys, normal(h.state()), all)
			}

			h.gc(conf, validKey(a))
			for _, addr := range []string{"10.1.0.2", "fd00:1::2", "10.1.0.100", "fd00:1::100"} {
				if err := h.Ping(addr); err != nil {
					t.Error(err)
				}
			}
			cnihost.Same(t, "leases", h.LeaseFiles(), "10.1.0.2 fd00:1::2")
			if n := strings.Count(h.Sh("ip -o link show master br0"), "\n"); n != 2 {
				t.Errorf("%d ports, want 2", n)
			}
			if left := h.podNeighbours(); strings.Contains(left, "10.1.0.3 ") || strings.Contains(left, "fd00:1::4 ") {
				t.Errorf("neighbours left: %s", left)
			}

			h.gc(conf, `"cni.dev/valid-attachments":[]`)
			cnihost.Same(t, "leases", h.LeaseFiles(), "")
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
	h.Succeed(cnihost.Call{Plugin: "bridge", Verb: "GC", Conf: conf, Path: dir + ":" + lab.Program("cni")})
	h.Succeed(cnihost.Call{Plugin: "bridge", Verb: "STATUS", Conf: conf, Path: dir + ":" + lab.Program("cni")})
	calls, err := os.ReadFile(dir + "/calls")
	if err != nil {
		t.Fatal(err)
	}
	cnihost.Same(t, "calls", string(calls), "GC\n"+conf+"STATUS\n"+conf)
}

// STATUS fails where an ADD would, with a code that says so and what to do, and nowhere else.
func TestStatus(t *testing.T) {
	h := newHost(t)
	small := `"ranges":[[{"subnet":"fd00:1::/64"}],[{"subnet":"10.1.0.0/29"}]]`
	conf := withKeys(h.conf(`"isGateway":true`, small), "")
	status := cnihost.Call{Plugin: "bridge", Verb: "STATUS", Conf: conf}
	h.Succeed(status) // no bridge, no leases
	if links := h.Sh("ip -o link show type bridge group default"); links != "" {
		t.Errorf("STATUS made %s", links)
	}
	var last *lab.Pod
	for i := range 5 {
		last = h.NewPod(fmt.Sprint("p", i))
		h.Succeed(on(last, conf).With("ADD"))
	}
	h.Fail(status, 50, "range set 1", "10.1.0.1-10.1.0.6", "5 of 5 addresses")
	direct := cnihost.Call{Plugin: "host-local", Verb: "STATUS", Conf: conf}
	h.Fail(direct, 50, "5 of 5 addresses")
	h.Succeed(on(last, conf).With("DEL"))
	h.Succeed(status)
	h.Succeed(direct)
	h.Fail(cnihost.Call{Plugin: "bridge", Verb: "STATUS", Conf: strings.Replace(conf, "10.1.0.0/29", "10.1.0.1/29", 1)}, 7, "host bits")
	h.Succeed(cnihost.Call{Plugin: "loopback", Verb: "STATUS", Conf: conf})
	h.Succeed(cnihost.Call{Plugin: "loopback", Verb: "GC", Conf: conf})

	h.Must("ip", "link", "del", "br0")
	h.Succeed(status)
	h.Must("ip", "link", "add", "br0", "type", "veth", "peer", "name", "br1")
	h.Fail(status, 51, "br0 exists and is a veth", "ip link del br0")
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
	status := cnihost.Call{Plugin: "bridge", Verb: "STATUS", Conf: withKeys(h.conf("", ""), "")}
	if out, err := h.Exec("ip", "-force", "-batch", file); err == nil {
		t.Errorf("1024 ports: %s", out)
	}
	h.Fail(status, 50, "1023 of 1023 ports")
	h.Fail(on(h.NewPod("late"), h.conf("", "")).With("ADD"), 100, "bridge br0 is full", "1023 ports", "fewer pods")
	h.Must("ip", "link", "set", "a7", "nomaster")
	h.Succeed(status)
}

// A veth whose name is an invalid attachment's but whose alias says that it is another pod's is
// left alone; one with an operator's alias goes, before its address is somebody else's.
func TestGCForeignAlias(t *testing.T) {
	for alias, stays := range map[string]bool{"other/pod/eth0": true, "uplink of web": false} {
		h := newHost(t)
		p := h.NewPod("a")
		conf := h.conf("", ranges4)
		h.Succeed(on(p, conf).With("ADD"))
		name := device.VethName("net", p.ID, "eth0")
		h.Must("ip", "link", "set", name, "alias", alias)
		h.gc(conf, `"cni.dev/valid-attachments":[]`)
		if links := h.Sh("ip -o link show type veth"); strings.Contains(links, name) != stays {
			t.Errorf("with the alias %q: %s", alias, links)
		}
	}
}
