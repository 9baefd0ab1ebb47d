package portmap

import (
	"os"
	"strings"
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

// Somebody's own table of nftables may have the name that iptables gives its own, and hold what
// iptables cannot read.
func TestForeignNATTable(t *testing.T) {
	for _, kind := range []string{kinds[0], nameNFTables} {
		for _, theirs := range []string{
			"add chain ip nat postrouting { type nat hook postrouting priority 100; }; add rule ip nat postrouting oifname nowhere masquerade",
			"add set ip nat s { type ipv4_addr; }; add chain ip nat POSTROUTING { type nat hook postrouting priority 100; }; add rule ip nat POSTROUTING ip daddr @s masquerade",
			"add chain ip nat PREROUTING { type nat hook prerouting priority -100; }; add rule ip nat PREROUTING ip daddr { 9.9.9.9, 8.8.8.8 } tcp dport 9 dnat to 10.1.0.9",
		} {
			h := newHost(t, kind)
			h.Must("nft", "add table ip nat; "+theirs)
			before := h.Must("nft", "list", "table", "ip", "nat")
			a := h.pod("a")
			serve(t, a.Namespace, "a", 80)
			h.must(h.on(a, "8080:80/tcp"))
			h.must(h.on(a, "8080:80/tcp").as("CHECK"))
			answered(t, h.lab.Outside(), "tcp", h.IP4+":8080", "a")
			h.must(h.on(a).as("DEL"))
			after := h.Must("nft", "list", "table", "ip", "nat")
			for _, line := range strings.Split(before, "\n") {
				if !strings.Contains(after, line) {
					t.Errorf("%s: %q is gone:\n%s", kind, line, after)
				}
			}
		}
	}
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

// A second ADD of the same attachment, as after one that was killed, leaves the same as the first,
// with its own ports.
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

// Whatever somebody has taken out of the tables, DEL and GC leave nothing of a pod and its port is
// free, even if a pod that is still there has lost its own rules too.
func TestRemoveWhatIsLeft(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a, b := h.pod("a"), h.pod("b")
		damages := []string{"flush table ip cni_hostport", "flush chain ip cni_hostport hostports; flush chain ip6 cni_hostport hostports",
			"flush chain ip cni_hostport hostports; flush chain ip cni_hostport masquerading", "delete table ip cni_hostport; delete table ip6 cni_hostport",
			"flush chain ip cni_hostport prerouting; delete chain ip cni_hostport prerouting"}
		if h.kind != nameNFTables {
			damages = []string{"-F CNI-HOSTPORT-DNAT", "-F PREROUTING", "-F"}
		}
		harm := func(damage string) {
			t.Helper()
			if h.kind == nameNFTables {
				h.Must("nft", damage)
				return
			}
			for _, program := range []string{"iptables", "ip6tables"} {
				h.Sh(program + strings.TrimPrefix(h.kind, "iptables") + " -t nat " + damage)
			}
		}
		for _, damage := range damages {
			add := h.on(a, "8080:80/tcp")
			h.must(add)
			harm(damage)
			h.must(add.as("DEL"))
			same(t, "rules after "+damage+" and a DEL", h.rules(), "")

			h.must(add)
			h.must(h.on(b, "8081:80/tcp"))
			harm(damage)
			h.must(add.as("DEL"))
			h.must(h.on(b, "8080:80/tcp"))
			h.must(h.on(b, "8080:80/tcp").as("CHECK"))
			h.must(h.on(b).as("DEL"))
			same(t, "rules after "+damage+" and two DELs", h.rules(), "")

			h.must(add)
			harm(damage)
			gc := add.as("GC").without("runtimeConfig").without("prevResult").with(`"cni.dev/valid-attachments":[]`)
			gc.id, gc.netns, gc.ifname = "", "", ""
			h.must(gc)
			h.must(h.on(b, "8080:80/tcp"))
			h.must(h.on(b).as("DEL"))
			h.must(add.as("DEL"))
			same(t, "rules after "+damage+" and a GC", h.rules(), "")
		}
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

		// Another interface of the same container is another owner, and another backend has the
		// same ports.
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
