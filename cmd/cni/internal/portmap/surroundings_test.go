package portmap

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"reflect"
	"regexp"
	"sync"
	"testing"

	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// Pods that the reference plugin made are removed by DEL, and those of a network by GC, next to
// pods of podnet's.
func TestReference(t *testing.T) {
	theirs := cnihost.Reference(t)
	forKinds(t, func(t *testing.T, h *host) {
		if h.kind == "iptables-legacy" {
			h.T.Skip("the reference plugin finds iptables by the name of its program")
		}
		a, b, c := h.pod("a"), h.pod("b"), h.pod("c")
		by := func(c call) call { c.path = theirs; return c.with(`"cniVersion":"1.0.0"`) }
		h.must(by(h.on(c, "8082:80/tcp")))
		h.must(by(h.on(c).with(`"runtimeConfig":{"portMappings":[{"hostPort":8082,"containerPort":80,"protocol":"tcp"}]}`).as("DEL")))
		h.must(h.on(b, "8081:80/tcp"))
		before := h.rules()
		h.must(by(h.on(a, "8080:80/tcp", "8080:80/udp")))
		serve(t, a.Namespace, "a", 80)
		answered(t, h.lab.Outside(), "tcp", h.IP4+":8080", "a")
		h.must(h.on(b, "8081:80/tcp").as("CHECK"))
		del := h.on(a).as("DEL")
		h.must(del)
		same(t, "rules after DEL of theirs", h.rules(), before)
		h.must(by(h.on(a, "8080:80/tcp", "8080:80/udp")))
		gc := h.on(a).as("GC").with(`"cni.dev/valid-attachments":[{"containerID":"` + b.ID + `","ifname":"eth0"}]`)
		if h.kind == nameNFTables { // where their rules name no network: the pod may be another's as long as it is there
			h.must(gc)
			answered(t, h.lab.Outside(), "tcp", h.IP4+":8080", "a")
			h.vanish(a)
		}
		h.must(gc)
		same(t, "rules after GC of theirs", h.rules(), before)
	})
}

// Either plugin's CHECK passes for the other's rules, and misses them when they have gone, and
// either's DEL removes them, while other pods of either stay as they are.
func TestExchange(t *testing.T) {
	theirs := cnihost.Reference(t)
	forKinds(t, func(t *testing.T, h *host) {
		if h.kind == "iptables-legacy" {
			h.T.Skip("the reference plugin finds iptables by the name of its program")
		}
		a, b, c := h.pod("a"), h.pod("b"), h.pod("c")
		serve(t, a.Namespace, "a", 80)
		by := func(path string, c call) call { c.path = path; return c.with(`"cniVersion":"1.0.0"`) }
		h.must(by(theirs, h.on(b, "8081:80/tcp")))
		h.must(by("", h.on(c, "8082:80/tcp")))
		before := h.rules()
		var ports []string
		for n := range 20 { // more than one entry
			ports = append(ports, fmt.Sprintf("%d:80/tcp", 9000+n))
		}
		for _, add := range []call{h.on(a, "8080:80/tcp"), h.on(a, ports...), h.on(a, "8080:80/udp", h.IP4+"=8080:80/tcp", h.IP6+"=8090:80/tcp"),
			h.on(a, "8080:80/tcp").with(`"snat":false`)} {
			for _, path := range [][2]string{{theirs, ""}, {"", theirs}} {
				h.must(by(path[0], add))
				h.must(by(path[0], add).as("CHECK"))
				h.must(by(path[1], add).as("CHECK"))
				h.fails(by("", h.on(a, "7777:80/tcp")).as("CHECK"), 103)
				h.must(by(path[1], add).as("DEL"))
				same(t, "rules after DEL by the other", h.rules(), before)
			}
		}
	})
}

// Programs that read the rules of the reference plugin find the ports in podnet's: nerdctl in the
// entries, Lima in the pods' chains.
func TestReaders(t *testing.T) {
	for _, kind := range kinds[:2] {
		h := newHost(t, kind)
		a := h.pod("a")
		h.must(h.on(a, "49153:80/tcp", h.IP4+"=49154:80/tcp"))
		listed := h.Sh(kind + " -t nat -S")
		for what, want := range map[string]string{
			`(?m)^-A CNI-HOSTPORT-DNAT .*--dports ((,?\d+)+)`:                                                                "49153,49154",
			`(?m)^-A CNI-DN-\w+\s+-p tcp\s+.*--dport (\d+) -j DNAT --to-destination ` + a.ip4 + `:80$`:                       "49153",
			`(?m)^-A CNI-DN-\w+\s+-d ` + h.IP4 + `/32\s+-p tcp\s+.*--dport (\d+) -j DNAT --to-destination ` + a.ip4 + `:80$`: "49154",
		} {
			if got := regexp.MustCompile(what).FindStringSubmatch(listed); len(got) < 2 || got[1] != want {
				t.Errorf("%s: %s finds %q in\n%s", kind, what, got, listed)
			}
		}
	}
}

// Whoever has nothing to remove waits for nobody.
func TestDelWithoutLock(t *testing.T) {
	h := newHost(t, nameNFTables)
	a, b := h.pod("a"), h.pod("b")
	h.must(h.on(b, "8080:80/tcp"))
	err := h.Do(func() error {
		unlock, err := netfilter.Lock(lab.Patience)
		if err == nil {
			defer unlock()
			h.must(h.on(a).as("DEL"))
			h.must(h.on(b, "8080:80/tcp").as("CHECK"))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// The result is that of the plugin before, in every version; without one there is nothing to go by.
func TestResult(t *testing.T) {
	h := newHost(t, nameNFTables)
	a := h.pod("a")
	for version, prev := range map[string]string{
		"0.1.0": `{"cniVersion":"0.1.0","ip4":{"ip":"10.1.0.2/24","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0"}]},"ip6":{"ip":"fd00:1::2/64"},"dns":{}}`,
		"0.2.0": `{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/24"},"dns":{"nameservers":["10.1.0.1"]}}`,
		"0.3.0": `{"cniVersion":"0.3.0","interfaces":[{"name":"eth0","sandbox":"/ns"}],"ips":[{"version":"4","interface":0,"address":"10.1.0.2/24"}],"dns":{}}`,
		"0.3.1": `{"cniVersion":"0.3.1","interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/ns"}],"ips":[{"version":"4","interface":0,"address":"10.1.0.2/24","gateway":"10.1.0.1"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}],"dns":{"nameservers":["10.1.0.1"]}}`,
		"0.4.0": `{"cniVersion":"0.4.0","interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/ns"}],"ips":[{"version":"6","interface":0,"address":"fd00:1::2/64"}],"dns":{}}`,
		"1.0.0": `{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/ns"}],"ips":[{"interface":0,"address":"10.1.0.2/24"},{"interface":0,"address":"fd00:1::2/64"}]}`,
		"1.1.0": `{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"/ns","mtu":1400}],"ips":[{"interface":0,"address":"10.1.0.2/24"}],"routes":[{"dst":"::/0","mtu":1300}]}`,
	} {
		for _, ports := range [][]string{nil, {"8080:80/tcp"}} {
			add := h.on(a, ports...).with(`"cniVersion":"` + version + `","prevResult":` + prev)
			var got, want any
			if err := json.Unmarshal([]byte(h.must(add)), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(prev), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, want %v", version, got, want)
			}
			h.fails(add.without("prevResult"), 7, "prevResult")
			h.must(add.as("DEL").without("prevResult").with(`"cniVersion":"7.0"`))
		}
	}
	same(t, "rules", h.rules(), "")
}

// A host without programs connects pods without mappings, and says what is missing to others; with
// one it takes that.
func TestMissingPrograms(t *testing.T) {
	h := newHost(t, nameNFTables)
	a := h.pod("a")
	for _, backend := range []string{`"backend":"nftables"`, `"backend":"iptables"`, `"backend":null`, `"conditionsV4":["ip saddr 10.0.0.0/8"]`} {
		h.must(h.on(a).as("STATUS").without("backend").with(backend))
	}
	h.fails(h.on(a).as("STATUS").with(`"markMasqBit":32`), 7, "markMasqBit")
	if out, err := exec.Command("mount", "-t", "tmpfs", "tmpfs", "/usr/sbin").CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out) // of the tests' own mount namespace
	}
	unmount := sync.OnceFunc(func() {
		if out, err := exec.Command("umount", "/usr/sbin").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	defer unmount()
	auto := h.on(a, "8080:80/tcp").without("backend")
	for _, name := range []string{"nftables", "iptables"} {
		asked := auto.with(`"backend":"` + name + `"`)
		h.fails(asked, 2, "install the package "+name)
		h.fails(asked.as("STATUS"), 50, "install the package "+name)
		h.must(asked.without("runtimeConfig"))
	}
	h.fails(auto, 2, "install the package iptables")
	h.must(auto.as("STATUS"))
	h.must(auto.without("runtimeConfig"))
	h.must(auto.as("DEL"))
	unmount()
	same(t, "rules", h.rules(), "")
}
