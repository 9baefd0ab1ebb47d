#!/bin/sh
# What the bridge plugin does with VLANs, as PID 1's child in a machine of its own. Every fault is a line; the exit status
# says whether there was one.
failed=0
fault() { echo "FAULT: $*"; failed=1; }
want() { # a line that the output of a command has to have
  line=$1; shift
  "$@" | grep -qE "$line" || { fault "$* lacks: $line"; "$@"; }
}
lacks() {
  line=$1; shift
  if "$@" | grep -qE "$line"; then fault "$* has: $line"; "$@"; fi
}
plugin() { # VERB POD FIELDS RANGE
  mkdir -p /run/netns
  printf '{"cniVersion":"1.0.0","name":"net","type":"bridge","bridge":"br0",%s"ipam":%s}' "$3" "$4" |
    CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=/run/netns/$2 CNI_IFNAME=eth0 CNI_PATH=/cni /cni/bridge >/tmp/out || fault "$1 of $2: $(cat /tmp/out)"
}
port() { ip -o link show master br0 | awk -F'[ :@]+' -v n="$1" 'NR == n {print $2}' ; }
pings() { ip netns exec "$1" ping -n -q -c 1 -W 2 "$2" >/dev/null 2>&1; }
range() { printf '{"type":"host-local","dataDir":"/run/leases","ranges":[[{"subnet":"%s"}]]}' "$1"; }
for pod in a b c d e f g h; do ip netns add $pod; done

# Two pods in one VLAN reach each other and their gateway, one in another VLAN reaches neither.
plugin ADD a '"vlan":100,"isGateway":true,' "$(range 10.1.0.0/24)"
plugin ADD b '"vlan":100,"isGateway":true,' "$(range 10.1.0.0/24)"
plugin ADD c '"vlan":200,' "$(range 10.1.0.0/24)"
want 'vlan_filtering 1' ip -d -o link show br0
want '10.1.0.1/24' ip -o addr show br0.100
lacks '10.1.0.1' ip -o addr show br0
pings a 10.1.0.3 || fault "a does not reach b in its VLAN"
pings a 10.1.0.1 || fault "a does not reach its gateway"
pings c 10.1.0.3 && fault "c reaches b in another VLAN"
pings c 10.1.0.1 && fault "c reaches the gateway of another VLAN"
ping -n -q -c 1 -W 2 10.1.0.2 >/dev/null || fault "the node does not reach a"
want '100 PVID Egress Untagged' bridge vlan show
lacks '[^0-9]1 PVID' bridge vlan show dev "$(port 2)"

# A trunk has its VLANs tagged, and untagged packets in VLAN 1 unless vlan says another one.
plugin ADD d '"vlanTrunk":[{"minID":100,"maxID":102},{"id":200}],' '{}'
last=$(port "$(ip -o link show master br0 | wc -l)")
for id in 100 101 102 200; do want "(^|[[:space:]])$id\$" bridge vlan show dev "$last"; done
want '[[:space:]]1 PVID Egress Untagged' bridge vlan show dev "$last"
ip -n d link add link eth0 name eth0.100 type vlan id 100
ip -n d addr add 10.1.0.50/24 dev eth0.100
ip -n d link set eth0.100 up
pings d 10.1.0.3 || fault "the trunk does not reach VLAN 100"

# preserveDefaultVlan leaves the port in the bridge's default VLAN too.
plugin ADD e '"vlan":300,"preserveDefaultVlan":true,' '{}'
last=$(port "$(ip -o link show master br0 | wc -l)")
want '300 PVID Egress Untagged' bridge vlan show dev "$last"
want '(^|[[:space:]])1 Egress Untagged|[[:space:]]1$' bridge vlan show dev "$last"

# What stays when all pods have gone is the bridge and the VLAN's gateway, which the next pod uses.
plugin DEL a '"vlan":100,"isGateway":true,' "$(range 10.1.0.0/24)"
plugin DEL b '"vlan":100,"isGateway":true,' "$(range 10.1.0.0/24)"
plugin DEL c '"vlan":200,' "$(range 10.1.0.0/24)"
plugin DEL d '"vlanTrunk":[{"minID":100,"maxID":102},{"id":200}],' '{}'
plugin DEL e '"vlan":300,"preserveDefaultVlan":true,' '{}'
[ "$(ip -o link show master br0 | wc -l)" = 1 ] || fault "ports left: $(ip -o link show master br0)"
lacks 'PERMANENT|extern_learn' ip neigh show dev br0.100
lacks '^10' ls /run/leases/net
plugin ADD f '"vlan":100,"isGateway":true,' "$(range 10.1.0.0/24)"
pings f 10.1.0.1 || fault "f does not reach the gateway that was there"

# A VLAN interface that somebody has made on the bridge is the gateway's; one of another VLAN is not.
ip link add link br0 name br0.400 type vlan id 400
plugin ADD g '"vlan":400,"isDefaultGateway":true,' "$(range 10.4.0.0/24)"
want '10.4.0.1/24' ip -o addr show br0.400
want 'vlan protocol 802.1Q id 400' ip -d -o link show br0.400
pings g 10.4.0.1 || fault "g does not reach the gateway on the interface that was there"
ping -n -q -c 1 -W 2 10.4.0.2 >/dev/null || fault "the node does not reach g"
plugin DEL g '"vlan":400,"isDefaultGateway":true,' "$(range 10.4.0.0/24)"
want 'br0.400' ip -o link show br0.400
ip link add link br0 name br0.500 type vlan id 501
refused=$(fault() { echo "$*"; }; plugin ADD h '"vlan":500,"isGateway":true,' "$(range 10.5.0.0/24)")
case $refused in *102*br0.500*"VLAN 500"*) ;; *) fault "an interface of another VLAN is not refused: $refused" ;; esac

# podnet's own bridge filters no VLANs: a port without a VLAN for untagged frames would pass none. This machine has no vxlan, which
# is named, and keeps nothing else from being made.
ip link add up0 type veth peer name up1
ip addr add 192.0.2.11/24 dev up0
ip link set up0 up
mkdir -p /etc/podnet
cat >/etc/podnet/topology.yaml <<'TOPOLOGY'
apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: lab}
nodes:
- {name: node-a, ip: 192.0.2.11, podCIDRs: ["10.244.0.0/24"]}
- {name: node-b, ip: 192.0.2.12, podCIDRs: ["10.244.1.0/24"]}
TOPOLOGY
apply() { /cni/podnetctl --node node-a apply >/tmp/out 2>&1; cat /tmp/out; }
want 'this kernel has no vxlan: modprobe vxlan' apply
want 'vlan_filtering 0' ip -d -o link show cni0
ip link set cni0 type bridge vlan_filtering 1 vlan_default_pvid 0
want 'vlan_filtering 1' ip -d -o link show cni0
want 'vlan_filtering 1' apply
want 'vlan_filtering 0' ip -d -o link show cni0
exit $failed
