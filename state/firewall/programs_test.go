package firewall

import "testing"

// Rules of other programs as those write them, all ahead of podnet's jump: none is about podnet's
// traffic.
func TestOtherProgramsRules(t *testing.T) {
	for _, c := range []struct{ name, table, policy, rules string }{
		{"Docker 20", "filter", "DROP", `
			FORWARD -j DOCKER-USER
			FORWARD -j DOCKER-ISOLATION-STAGE-1
			FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			FORWARD -o docker0 -j DOCKER
			FORWARD -i docker0 ! -o docker0 -j ACCEPT
			FORWARD -i docker0 -o docker0 -j ACCEPT
			JUMP
			DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
			DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
			DOCKER-ISOLATION-STAGE-1 -i br-1f ! -o br-1f -j DOCKER-ISOLATION-STAGE-2
			DOCKER-ISOLATION-STAGE-1 -j RETURN
			DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
			DOCKER-ISOLATION-STAGE-2 -o br-1f -j DROP
			DOCKER-ISOLATION-STAGE-2 -j RETURN
			DOCKER-USER -j RETURN`},
		{"Docker 28", "filter", "DROP", `
			FORWARD -j DOCKER-USER
			FORWARD -j DOCKER-FORWARD
			JUMP
			DOCKER ! -i docker0 -o docker0 -j DROP
			DOCKER-BRIDGE -o docker0 -j DOCKER
			DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			DOCKER-FORWARD -j DOCKER-CT
			DOCKER-FORWARD -j DOCKER-INTERNAL
			DOCKER-FORWARD -j DOCKER-BRIDGE
			DOCKER-FORWARD -i docker0 -j ACCEPT
			DOCKER-INTERNAL ! -s 172.19.0.0/16 -o br-int -j DROP
			DOCKER-INTERNAL ! -d 172.19.0.0/16 -i br-int -j DROP`},
		{"Docker with what an operator adds", "filter", "ACCEPT", `
			FORWARD -j DOCKER-USER
			JUMP
			DOCKER-USER -i eth0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 8080 -j DROP
			DOCKER-USER -i eth0 -m set ! --match-set allowed src -j DROP
			DOCKER-USER -i eth0 -j DROP`},
		{"Docker and others rewrite their own", "nat", "ACCEPT", `
			POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
			POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
			POSTROUTING -o eth0 -j MASQUERADE
			JUMP`},
		{"ufw", "filter", "DROP", `
			FORWARD -j ufw-before-logging-forward
			FORWARD -j ufw-before-forward
			FORWARD -j ufw-after-forward
			FORWARD -j ufw-after-logging-forward
			FORWARD -j ufw-reject-forward
			FORWARD -j ufw-track-forward
			JUMP
			ufw-after-logging-forward -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
			ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			ufw-before-forward -p icmp -m icmp --icmp-type 3 -j ACCEPT
			ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT
			ufw-before-forward -j ufw-user-forward
			ufw-user-forward -i wg0 -o eth0 -j ACCEPT
			ufw-user-forward -p tcp -d 10.0.0.5/32 -m tcp --dport 25 -j DROP`},
		{"firewalld", "filter", "ACCEPT", `
			FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
			FORWARD -i lo -j ACCEPT
			FORWARD -j FORWARD_direct
			FORWARD -j FORWARD_IN_ZONES
			FORWARD -j FORWARD_OUT_ZONES
			FORWARD -m conntrack --ctstate INVALID -j DROP
			JUMP
			FORWARD -j REJECT --reject-with icmp-host-prohibited
			FORWARD_IN_ZONES -i eth0 -g FWDI_public
			FORWARD_IN_ZONES -g FWDI_public
			FORWARD_OUT_ZONES -o eth0 -g FWDO_public
			FORWARD_OUT_ZONES -g FWDO_public
			FORWARD_direct -j RETURN
			FWDI_public -j FWDI_public_deny
			FWDI_public -p icmp -j ACCEPT
			FWDI_public_deny -s 198.51.100.0/24 -j DROP
			FWDO_public -m conntrack --ctstate NEW,UNTRACKED -m mark --mark 0x64 -j ACCEPT`},
		{"libvirt", "filter", "ACCEPT", `
			FORWARD -j LIBVIRT_FWX
			FORWARD -j LIBVIRT_FWI
			FORWARD -j LIBVIRT_FWO
			JUMP
			LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
			LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT
			LIBVIRT_FWO -i virbr0 -j REJECT --reject-with icmp-port-unreachable
			LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT`},
		{"libvirt rewrites", "nat", "ACCEPT", `
			POSTROUTING -j LIBVIRT_PRT
			JUMP
			LIBVIRT_PRT -s 192.168.122.0/24 -d 224.0.0.0/24 -j RETURN
			LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535
			LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE`},
		{"kube-proxy", "filter", "ACCEPT", `
			FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
			FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
			FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
			JUMP
			KUBE-FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name ct_state_invalid_dropped_pkts -j DROP
			KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
			KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
			KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			KUBE-PROXY-FIREWALL -d 203.0.113.9/32 -p tcp -m tcp --dport 80 -j DROP
			KUBE-SERVICES -d 10.96.0.10/32 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable`},
		{"kube-proxy rewrites", "nat", "ACCEPT", `
			POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
			JUMP
			KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
			KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
			KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully`},
		{"a policy agent's chain for a pod", "filter", "ACCEPT", `
			FORWARD -j KUBE-ROUTER-FORWARD
			JUMP
			KUBE-ROUTER-FORWARD -d 10.244.0.5/32 -j KUBE-POD-FW-1
			KUBE-POD-FW-1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			KUBE-POD-FW-1 -m set --match-set KUBE-SRC src -j MARK --set-xmark 0x10000/0x10000
			KUBE-POD-FW-1 -m mark ! --mark 0x10000/0x10000 -j REJECT --reject-with icmp-port-unreachable`},
		{"flannel", "filter", "DROP", `
			FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
			JUMP
			FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
			FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT`},
		{"flannel rewrites", "nat", "ACCEPT", `
			POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
			JUMP
			FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
			FLANNEL-POSTRTG -s 10.244.0.0/24 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j RETURN
			FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.0.0/24 -m comment --comment "flanneld masq" -j RETURN
			FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/24 -m comment --comment "flanneld masq" -j RETURN
			FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
			FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully`},
		{"portmap", "nat", "ACCEPT", `
			POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
			JUMP
			CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE`},
		{"another network's CNI plugin", "nat", "ACCEPT", `
			POSTROUTING -s 10.88.0.5/32 -m comment --comment "name: \"podman\" id: \"1f\"" -j CNI-1f
			JUMP
			CNI-1f -d 10.88.0.0/16 -j ACCEPT
			CNI-1f ! -d 224.0.0.0/4 -j MASQUERADE`},
		{"an intrusion prevention system", "filter", "ACCEPT", "FORWARD -j NFQUEUE --queue-num 0\nJUMP"},
	} {
		if found := asked(4, c.table, c.policy, c.rules); len(found) > 0 {
			t.Errorf("%s: %+v", c.name, found)
		}
	}
}
