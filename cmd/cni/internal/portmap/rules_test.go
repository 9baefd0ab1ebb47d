package portmap

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// connectionsTo counts those of the node that were opened to an address and port.
func connectionsTo(t *testing.T, h *host, addr, port string) int {
	t.Helper()
	n := 0
	err := h.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/nf_conntrack")
		for line := range strings.Lines(string(text)) {
			orig, _, _ := strings.Cut(line, "dport=")
			_, rest, _ := strings.Cut(line, "dport=")
			if strings.Contains(orig, "dst="+addr+" ") && strings.HasPrefix(rest, port+" ") {
				n++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// DEL needs nothing but names: no result, no namespace, no mappings, whatever the backend.
func TestDelByName(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a, b := h.pod("a"), h.pod("b")
		h.must(h.on(b, "8081:80/tcp"))
		before := h.rules()
		h.must(h.on(a, "8080:80/tcp", "8080:80/udp", h.IP4+"=9090:90/sctp"))
		del := h.on(a).as("DEL").without("prevResult").without("runtimeConfig").without("backend")
		del.netns = ""
		for range 3 {
			h.must(del)
			same(t, "rules after DEL", h.rules(), before)
		}
		h.must(h.on(b).as("CHECK"))
		del.netns, del.id = "/run/netns/none", b.ID
		h.must(del)
		same(t, "rules after all DELs", h.rules(), "")
	})
}

// What others have in the tables stays as it is, whatever the order of things.
func TestOthersRules(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		h.Sh("nft add table inet mine")
		h.Must("nft", "add chain inet mine c { type nat hook postrouting priority 90; }")
		h.Sh("nft add rule inet mine c ip saddr 10.9.0.0/24 masquerade")
		if h.kind != nameNFTables {
			for _, program := range []string{"iptables", "ip6tables"} {
				program += strings.TrimPrefix(h.kind, "iptables")
				h.Sh(program + " -t nat -N MINE")
				h.Sh(program + " -t nat -A PREROUTING -p tcp --dport 99 -j MINE")
				h.Must(program, "-t", "nat", "-A", "POSTROUTING", "-m", "comment", "--comment", `a "comment" net/x/eth0`, "-j", "RETURN")
				h.Sh(program + " -t nat -A MINE -p tcp -j REDIRECT --to-ports 98")
			}
		}
		before := h.rules()
		for range 2 {
			a := h.pod("a" + strings.Repeat("a", h.pods))
			h.must(h.on(a, "8080:80/tcp"))
			h.must(h.on(a, "8080:80/tcp").as("CHECK"))
			h.must(h.on(a, "8080:80/tcp").as("DEL"))
			same(t, "rules after DEL", h.rules(), before)
		}
	})
}

// A second ADD of the same attachment, as after one that was killed, leaves the same as the first, with its own ports.
func TestRetry(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a := h.pod("a")
		before := h.rules()
		h.must(h.on(a, "8080:80/tcp", "8081:81/udp"))
		once := h.rules()
		h.must(h.on(a, "8080:80/tcp", "8081:81/udp"))
		same(t, "rules after a second ADD", h.rules(), once)
		h.must(h.on(a, "8090:80/tcp", "8081:81/udp"))
		if got := h.rules(); strings.Contains(got, "8080") || !strings.Contains(got, "8090") {
			t.Errorf("the first ADD's ports: %s", got)
		}
		h.must(h.on(a, "8090:80/tcp", "8081:81/udp").as("CHECK"))
		h.must(h.on(a).as("DEL"))
		same(t, "rules after DEL", h.rules(), before)
	})
}

func TestConflict(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a, b := h.pod("a"), h.pod("b")
		h.must(h.on(a, "8080:80/tcp", h.IP4+"=8081:81/tcp"))
		before := h.rules()
		for _, taken := range []string{"8080:99/tcp", "127.0.0.1=8080:99/tcp", h.IP6 + "=8080:99/tcp", h.IP4 + "=8081:99/tcp", "0.0.0.0=8081:99/tcp"} {
			h.fails(h.on(b, "7000:70/tcp", taken), 102, "host port 808", "/tcp", "net/"+a.ID+"/eth0", "another port")
			same(t, "rules after a refused ADD", h.rules(), before)
		}
		free := []string{"8080:80/udp", "127.0.0.1=8081:81/tcp", h.IP6 + "=8081:81/tcp", "8082:80/tcp"}
		h.must(h.on(b, free...))
		h.must(h.on(b, free...).as("CHECK"))
		h.must(h.on(a, "8080:80/tcp", h.IP4+"=8081:81/tcp").as("CHECK"))

		// Another interface of the same container is another owner, and another backend has the same ports.
		second := h.on(a, "8082:80/tcp")
		second.ifname = "eth1"
		h.fails(second.with(`"prevResult":{"ips":[{"address":"10.1.0.77/24"}]}`), 102, "net/"+b.ID+"/eth0")
		h.kind = map[bool]string{true: nameIPTables, false: nameNFTables}[h.kind == nameNFTables]
		h.fails(h.on(b, "8080:80/tcp"), 102, "net/"+a.ID+"/eth0")
		h.must(h.on(b, "8083:80/tcp"))
		h.must(h.on(b).as("DEL"))
		same(t, "rules after the DEL of what two backends had", h.rules(), before)
		h.must(h.on(a).as("DEL"))
		same(t, "rules after all DELs", h.rules(), "")
	})
}

// Both interfaces of one container on one network have rules of their own.
func TestTwoInterfaces(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a := h.pod("a")
		first := h.on(a, "8080:80/tcp")
		second := h.on(a, "8081:80/tcp").with(`"prevResult":{"ips":[{"address":"10.1.0.77/24"}]}`)
		second.ifname = "eth1"
		h.must(first)
		before := h.rules()
		h.must(second)
		h.must(second.as("CHECK"))
		h.must(second.as("DEL"))
		same(t, "rules after DEL of one", h.rules(), before)
	})
}

func TestGC(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a, b, c := h.pod("a"), h.pod("b"), h.pod("c")
		h.must(h.on(c, "8082:80/tcp").with(`"name":"other"`))
		foreign := h.rules()
		h.must(h.on(a, "8080:80/tcp"))
		onlyA := h.rules()
		h.must(h.on(b, "8081:80/tcp", "8081:80/udp"))
		all := h.rules()
		gc := func(field string) {
			t.Helper()
			g := h.on(a).as("GC").without("runtimeConfig").without("prevResult").with(field)
			g.id, g.netns, g.ifname = "", "", ""
			h.must(g)
		}
		gc("")
		gc(`"cni.dev/valid-attachments":null`)
		gc(`"cni.dev/valid-attachments":[{"containerID":"` + a.ID + `","ifname":"eth0"},{"containerID":"` + b.ID + `","ifname":"eth0"}]`)
		same(t, "rules after GC of nothing", h.rules(), all)
		gc(`"cni.dev/valid-attachments":[{"containerID":"` + a.ID + `","ifname":"eth0"},{"containerID":"` + b.ID + `","ifname":"eth1"}]`)
		same(t, "rules after GC of b", h.rules(), onlyA)
		gc(`"cni.dev/valid-attachments":[]`)
		same(t, "rules after GC of all", h.rules(), foreign)
	})
}

// CHECK notices whatever is taken away, and an ADD puts it back.
func TestCheck(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a := h.pod("a")
		add := h.on(a, "8080:80/tcp", "8081:81/udp")
		h.must(add)
		h.must(add.as("CHECK"))
		h.fails(h.on(a, "8080:80/tcp", "8082:81/udp").as("CHECK"), 103)
		h.fails(h.on(a, "8080:80/tcp").as("CHECK"), 103)
		h.fails(add.as("CHECK").without("prevResult"), 7, "prevResult")
		program := strings.Replace(h.kind, "iptables", "ip6tables", 1) + " -t nat "
		damages := []string{program + "-F PREROUTING", program + "-D OUTPUT 1", program + "-F CNI-HOSTPORT-DNAT", program + "-D CNI-HOSTPORT-DNAT 2",
			program + "-D POSTROUTING 1", program + "-F CNI-HOSTPORT-MASQ", program + "-F CNI-HOSTPORT-SETMARK",
			program + "-D " + chainOf(newOwner("net", a.ID, "eth0")) + " 1"}
		if h.kind == nameNFTables {
			damages = []string{"nft flush chain inet podnet_portmap prerouting", "nft flush chain inet podnet_portmap hostports", "nft delete table inet podnet_portmap",
				"nft flush map inet podnet_portmap dnat4", "nft flush set inet podnet_portmap masq6", "nft delete element inet podnet_portmap dnat6 '{ ::/0 . udp . 8081 }'",
				"nft insert rule inet podnet_portmap hostports accept", "nft flush chain inet podnet_portmap postrouting"}
		}
		damages = append(damages, "sysctl -q -w net.ipv4.conf.br0.route_localnet=0")
		whole := h.rules()
		for _, damage := range damages {
			h.Must("sh", "-c", damage)
			h.fails(add.as("CHECK"), 103, "ADD")
			h.must(add)
			h.must(add.as("CHECK"))
			same(t, "rules after "+damage+" and an ADD", h.rules(), whole)
		}
		h.must(add.as("DEL"))
		h.fails(add.as("CHECK"), 103)
	})
}

// Conditions are part of what leads to the mappings, per family, and do not concern other networks.
func TestConditions(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a, b := h.pod("a"), h.pod("b")
		serve(t, a.Namespace, "a", 80)
		serve(t, b.Namespace, "b", 80)
		conditions := `"conditionsV4":["!","-s","192.0.2.1"],"conditionsV6":["-i","eth0"]`
		if h.kind == nameNFTables {
			conditions = `"conditionsV4":["ip saddr != 192.0.2.1"],"conditionsV6":["iifname eth0"]`
		}
		h.must(h.on(b, "8081:80/tcp"))
		before := h.rules()
		add := h.on(a, "8080:80/tcp").with(conditions)
		h.must(add)
		h.must(add.as("CHECK"))
		silent(t, h.lab.Outside(), "tcp", h.IP4+":8080")
		answered(t, h.Namespace, "tcp", h.IP4+":8080", "a")
		if h.kind == nameNFTables { // iptables knows no -i for what the host itself sends, and so takes it
			answered(t, h.lab.Outside(), "tcp", "["+h.IP6+"]:8080", "a")
			silent(t, h.Namespace, "tcp", "["+h.IP6+"]:8080")
		}
		answered(t, h.lab.Outside(), "tcp", h.IP4+":8081", "b")
		h.fails(h.on(b, "8080:80/tcp"), 102, a.ID)
		h.must(h.on(a).as("DEL"))
		if h.kind != nameNFTables { // scopes of other conditions stay until the last mapping goes
			same(t, "rules after DEL", h.rules(), before)
		}
		h.must(h.on(b).as("DEL"))
		same(t, "rules after all DELs", h.rules(), "")
	})
}

func TestExternalMarkChain(t *testing.T) {
	for _, kind := range kinds[:2] {
		t.Run(kind, func(t *testing.T) {
			h := newHost(t, kind)
			a := h.pod("a")
			add := h.on(a, "8080:80/tcp").with(`"externalSetMarkChain":"THEIRS"`)
			h.fails(add, 104, "THEIRS")
			same(t, "rules after a failed ADD", h.rules(), "")
			h.Sh(kind + " -t nat -N THEIRS")
			before := h.rules()
			h.fails(add, 104, "THEIRS")
			same(t, "rules after an ADD that failed for one family", h.rules(), before)
			h.Sh(strings.Replace(kind, "ip", "ip6", 1) + " -t nat -N THEIRS")
			before = h.rules()
			h.must(add)
			h.must(add.as("CHECK"))
			if got := h.rules(); strings.Contains(got, masqChainName) {
				t.Errorf("a chain of our own: %s", got)
			}
			h.must(add.as("DEL"))
			same(t, "rules after DEL", h.rules(), before)
		})
	}
}

// Pods that the reference plugin made are removed by DEL, and those of a network by GC, next to pods of podnet's.
func TestReference(t *testing.T) {
	theirs := reference(t)
	forKinds(t, func(t *testing.T, h *host) {
		if h.kind == "iptables-legacy" {
			h.t.Skip("the reference plugin finds iptables by the name of its program")
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
		if h.kind == nameNFTables {
			return // their rules name no network there
		}
		h.must(by(h.on(a, "8080:80/tcp", "8080:80/udp")))
		gc := h.on(a).as("GC").with(`"cni.dev/valid-attachments":[{"containerID":"` + b.ID + `","ifname":"eth0"}]`)
		h.must(gc)
		same(t, "rules after GC of theirs", h.rules(), before)
	})
}

// The result is that of the plugin before, in every version; without one there is nothing to go by.
func TestResult(t *testing.T) {
	h := newHost(t, nameNFTables)
	a := h.pod("a")
	for version, prev := range map[string]string{
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
			h.must(add.as("DEL").without("prevResult"))
		}
	}
	same(t, "rules", h.rules(), "")
}

// A host without programs connects pods without mappings, and says what is missing to others; with one it takes that.
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
