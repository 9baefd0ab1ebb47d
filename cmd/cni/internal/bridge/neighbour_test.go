package bridge_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

const otherMAC = "02:11:22:33:44:66"

// unanswered is more than the kernel takes for its questions about an entry that nobody answers for
// any more: 8 seconds, on a machine that has nothing else to do.
const unanswered = 4 * lab.Patience

// inPodMAC is the MAC of the pod's end in a result.
var inPodMAC = regexp.MustCompile(`("name": *"eth0",\s*"mac": *)"[^"]*"`)

// A pod whose MAC changes after the ADD, as a plugin behind bridge has it, is reached by the host:
// at once where it says so itself, and after the kernel's questions where it does not.
func TestPodWithAnotherMAC(t *testing.T) {
	for name, change := range map[string]string{
		"while up":           "ip link set eth0 address " + otherMAC,
		"while down":         "ip link set eth0 down; ip link set eth0 address " + otherMAC + "; ip link set eth0 up; ip route add default via 10.1.0.1; ip -6 route replace default via fd00:1::1",
		"without a word":     "echo 0 >/proc/sys/net/ipv4/conf/eth0/arp_notify; echo 0 >/proc/sys/net/ipv6/conf/eth0/ndisc_notify; ip link set eth0 address " + otherMAC,
		"by another link":    "ip addr flush dev eth0; ip link add link eth0 name mv0 type macvlan mode bridge; ip addr add 10.1.0.2/24 dev mv0; ip addr add fd00:1::2/64 dev mv0 nodad; ip link set mv0 up",
		"and then once more": "ip link set eth0 address 02:11:22:33:44:77; ip link set eth0 address " + otherMAC,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			p := h.NewPod("a")
			conf := h.conf(`"isDefaultGateway":true`, ranges46)
			result := h.Succeed(on(p, conf).With("ADD"))
			if _, err := p.Exec("sh", "-ec", change); err != nil {
				t.Fatal(err)
			}
			for _, to := range []string{"10.1.0.2", "fd00:1::2"} {
				lab.Eventually(t, unanswered, "the host reaches "+to, func() error { return h.Ping(to) })
			}
			if name == "by another link" {
				return
			}
			tuned := inPodMAC.ReplaceAllString(result, `${1}"`+otherMAC+`"`)
			if err := h.check(on(p, conf), tuned); err != nil {
				t.Error(err)
			}
			h.Sh("ip neigh replace 10.1.0.2 lladdr 02:00:00:00:00:01 dev br0 nud permanent")
			cnihost.WantFault(t, h.check(on(p, conf), tuned), 103, "10.1.0.2", "02:00:00:00:00:01", "ip neigh del 10.1.0.2 dev br0")
			h.Sh("ip neigh del 10.1.0.2 dev br0")
			if err := h.check(on(p, conf), tuned); err != nil {
				t.Error(err)
			}
		})
	}
}

// No entry outlives its pod, also when the leases are in another place by the time of the DEL. One
// that another program has in the meantime, for another pod of that address, stays.
func TestNeighboursOfMovedLeases(t *testing.T) {
	h := newHost(t)
	a, b := h.NewPod("a"), h.NewPod("b")
	conf := h.conf(`"isGateway":true`, ranges46)
	h.Succeed(on(b, conf).With("ADD"))
	result := h.Succeed(on(a, conf).With("ADD"))
	del := on(a, strings.Replace(strings.TrimSuffix(conf, "}"), h.DataDir(), h.DataDir()+"2", 1)+`,"prevResult":`+result+"}").With("DEL")
	h.Sh("ip neigh replace 10.1.0.3 lladdr 02:00:00:00:00:01 dev br0 nud stale extern_learn")
	h.Succeed(del)
	if left := h.podNeighbours(); !strings.Contains(left, "10.1.0.3 ") || strings.Contains(left, "fd00:1::3 ") {
		t.Errorf("neighbours: %s", left)
	}
}

// What podnet's ADD leaves when the reference plugin deletes the pod gives way to the address's
// next pod.
func TestReferenceReusesAddress(t *testing.T) {
	theirs := cnihost.Reference(t)
	h := newHost(t)
	conf := h.conf(`"isGateway":true`, `"ranges":[[{"subnet":"10.1.0.0/24","rangeEnd":"10.1.0.3"}],[{"subnet":"fd00:1::/64","rangeEnd":"fd00:1::3"}]]`)
	stays, first, second := h.NewPod("a"), h.NewPod("b"), h.NewPod("c")
	h.Succeed(on(stays, conf).With("ADD")) // so that the bridge keeps its carrier, and with that its neighbours
	h.Succeed(on(first, conf).With("ADD"))
	del, add := on(first, conf).With("DEL"), on(second, conf).With("ADD")
	del.Path, add.Path = theirs, theirs
	h.Succeed(del)
	if got := h.Succeed(add); !strings.Contains(got, "10.1.0.3/24") || !strings.Contains(got, "fd00:1::3/64") {
		t.Fatalf("another address: %s", got)
	}
	for _, to := range []string{"10.1.0.3", "fd00:1::3"} {
		lab.Eventually(t, unanswered, "the host reaches "+to, func() error { return h.Ping(to) })
	}
}
