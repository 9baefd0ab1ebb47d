package portmap

import (
	"strings"
	"testing"
)

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
			program + "-D " + referenceChainOf(owner{"net", a.ID, "eth0"}) + " 1"}
		if h.kind == nameNFTables {
			damages = []string{"nft flush chain ip cni_hostport prerouting", "nft flush chain ip6 cni_hostport hostports", "nft delete table ip cni_hostport",
				"nft flush chain ip cni_hostport masquerading", "nft flush table ip cni_hostport", "nft flush chain ip cni_hostport hostports_all",
				"nft 'flush chain ip cni_hostport prerouting; delete chain ip cni_hostport prerouting'",
				"nft 'flush chain ip cni_hostport masquerading; delete chain ip cni_hostport masquerading'",
				"nft insert rule ip cni_hostport hostports accept",
				"nft delete rule ip cni_hostport hostports handle $(nft -a list chain ip cni_hostport hostports | awk '/8081/ {print $NF}')"}
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
		same(t, "rules after DEL", h.rules(), before)
		h.must(h.on(b).as("DEL"))
		same(t, "rules after all DELs", h.rules(), "")
	})
}

// A condition that no rule can have is a fault of the configuration, which is named: another try
// would end the same.
func TestRefusedConditions(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		refused := []string{`["-s","10.0.0.0/99"]`, `["-m","nosuchmatch"]`, `["-m","owner","--uid-owner","0"]`, `["-j","ACCEPT"]`}
		if h.kind == nameNFTables {
			refused = []string{`["ip saddr @nowhere"]`, `["nosuchmatch 1"]`, `["ip saddr"]`, `["accept"]`}
		}
		a := h.pod("a")
		for _, conditions := range refused {
			h.fails(h.on(a, "8080:80/tcp").with(`"conditionsV4":`+conditions), 7, "conditionsV4 (", "correct the field or leave it out")
		}
		same(t, "rules after failed ADDs", h.rules(), "")
	})
}

func TestExternalMarkChain(t *testing.T) {
	for _, kind := range kinds[:2] {
		t.Run(kind, func(t *testing.T) {
			h := newHost(t, kind)
			a := h.pod("a")
			add := h.on(a, "8080:80/tcp").with(`"externalSetMarkChain":"THEIRS"`)
			h.fails(add, 7, "THEIRS", "externalSetMarkChain")
			same(t, "rules after a failed ADD", h.rules(), "")
			h.Sh(kind + " -t nat -N THEIRS")
			before := h.rules()
			h.fails(add, 7, "THEIRS", "externalSetMarkChain")
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
