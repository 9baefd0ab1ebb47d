package bridge_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// masqRules are the rules of either backend, as text.
func (h *host) masqRules() string {
	h.T.Helper()
	var lines []string
	for _, line := range strings.Split(h.Sh("iptables-save -t nat")+h.Sh("ip6tables-save -t nat"), "\n") {
		if strings.HasPrefix(line, "-A") || strings.HasPrefix(line, ":CNI") {
			lines = append(lines, line)
		}
	}
	if tables := h.Sh("nft list tables"); strings.Contains(tables, "cni_plugins_masquerade") {
		lines = append(lines, h.Sh("nft list table inet cni_plugins_masquerade"))
	}
	return strings.Join(lines, "\n")
}

// Each pod has rules of its own, whichever backend: made again if somebody deleted them, and gone
// with the pod or by GC, whatever the configuration says by then.
func TestMasquerade(t *testing.T) {
	for _, backend := range []string{"iptables", "nftables", "auto"} {
		t.Run(backend, func(t *testing.T) {
			if _, err := exec.LookPath("nft"); err != nil {
				t.Skip("nft is not installed")
			}
			h := newHost(t)
			conf := h.conf(fmt.Sprintf(`"isDefaultGateway":true,"ipMasq":true,"ipMasqBackend":%q`, backend), ranges46)
			empty := h.masqRules()
			a, b := h.NewPod("a"), h.NewPod("b")
			h.Succeed(on(a, conf).With("ADD"))
			one := h.rules()
			h.Succeed(on(b, conf).With("ADD"))
			two := h.rules()
			h.Succeed(on(b, conf).With("ADD"))
			cnihost.Same(t, "rules after a second ADD", h.rules(), two)
			h.Succeed(on(b, conf).With("DEL"))
			cnihost.Same(t, "rules with one pod", h.rules(), one)
			h.Succeed(on(b, conf).With("ADD"))
			h.Succeed(on(a, conf).With("DEL"))
			for _, p := range []*lab.Pod{a, b} {
				if there := strings.Contains(h.masqRules(), p.ID); there != (p == b) {
					t.Errorf("rules of %s: %t", p.PodName, there)
				}
			}

			// What comes out of the node has its address, what goes to another pod keeps its own.
			outside := h.NewPod("outside")
			h.Must("sh", "-ec", "ip link add out type veth peer name out0 netns "+outside.Path+"; ip link set out up; ip addr add 198.51.100.1/24 dev out; ip -6 addr add fd00:2::1/64 dev out nodad")
			if _, err := outside.Exec("sh", "-ec", "ip link set out0 up; ip addr add 198.51.100.2/24 dev out0; ip -6 addr add fd00:2::2/64 dev out0 nodad"); err != nil {
				t.Fatal(err)
			}
			for _, to := range []string{"198.51.100.2", "fd00:2::2"} {
				if err := b.Ping(to); err != nil { // there is no way back to the pod's own address
					t.Error(err)
				}
			}

			h.Must("sh", "-ec", "nft flush ruleset")
			result := h.Succeed(on(b, conf).With("ADD"))
			if err := h.check(on(b, conf), result); err != nil || !strings.Contains(h.masqRules(), b.ID) {
				t.Errorf("after a flush: %v %s", err, h.masqRules())
			}
			h.Succeed(on(b, conf).With("DEL"))
			cnihost.Same(t, "rules without pods", h.masqRules(), empty)

			off := strings.Replace(conf, `"ipMasq":true`, `"ipMasq":false`, 1)
			h.Succeed(on(a, conf).With("ADD"))
			onlyA := h.masqRules()
			h.Succeed(on(b, conf).With("ADD"))
			h.Succeed(on(b, off).With("DEL"))
			cnihost.Same(t, "rules after a DEL without ipMasq", h.masqRules(), onlyA)
			h.Succeed(on(a, off).With("DEL"))
			cnihost.Same(t, "rules after all DELs without ipMasq", h.masqRules(), empty)

			h.Succeed(on(a, conf).With("ADD"))
			onlyA = h.masqRules()
			h.Succeed(on(b, conf).With("ADD"))
			h.gc(conf, validKey(a))
			cnihost.Same(t, "rules after a GC", h.masqRules(), onlyA)
			h.gc(off, `"cni.dev/valid-attachments":[]`)
			cnihost.Same(t, "rules after a GC of all", h.masqRules(), empty)
		})
	}
}

// rules is the whole ruleset, without its order: the kernel lists chains as they were made.
func (h *host) rules() string {
	h.T.Helper()
	lines := strings.Split(h.Sh("nft -s list ruleset"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// A pod costs no execution of a program once the tables are there.
func TestMasqueradeExecutesNothing(t *testing.T) {
	h := newHost(t)
	a, b := h.NewPod("a"), h.NewPod("b")
	conf := h.conf(`"isGateway":true,"ipMasq":true`, ranges46)
	h.Succeed(on(a, conf).With("ADD"))
	file := t.TempDir() + "/trace"
	for _, verb := range []string{"ADD", "DEL"} {
		cmd := exec.Command("strace", "-f", "-qq", "-e", "trace=execve", "-o", file, lab.Program("cni/bridge"))
		cmd.Env = append(os.Environ(), "CNI_COMMAND="+verb, "CNI_CONTAINERID="+b.ID, "CNI_NETNS="+b.Path, "CNI_IFNAME=eth0", "CNI_PATH=/x")
		cmd.Stdin = strings.NewReader(conf)
		if out, err := h.Run(t.Context(), cmd); err != nil || out.Code != 0 {
			t.Fatal(out, err)
		}
		trace, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(trace), "execve("); n != 1 {
			t.Errorf("%s: %d programs executed, want the plugin alone:\n%s", verb, n, trace)
		}
	}
}

// The addresses of another IPAM plugin are masqueraded one by one.
func TestMasqueradeOtherIPAM(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	script := `#!/bin/sh
[ $CNI_COMMAND = ADD ] || exit 0
n=$(cat ` + dir + `/n 2>/dev/null || echo 1); n=$((n+1)); echo $n >` + dir + `/n
echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.'$n'/24"}]}'
`
	if err := os.WriteFile(dir+"/other", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := `{"cniVersion":"1.0.0","name":"net","type":"bridge","bridge":"br0","isGateway":true,"ipMasq":true,"ipam":{"type":"other"}}`
	a, b := h.NewPod("a"), h.NewPod("b")
	do := func(p *lab.Pod, verb string) {
		c := on(p, conf)
		c.Path = dir + ":" + lab.Program("cni")
		h.Succeed(c.With(verb))
	}
	empty := h.masqRules()
	do(a, "ADD")
	do(b, "ADD")
	if rules := h.masqRules(); strings.Count(rules, "-A POSTROUTING -s 10.1.0.") != 2 || strings.Count(rules, ":CNI-") != 2 {
		t.Error(rules)
	}
	do(a, "DEL")
	if rules := h.masqRules(); strings.Contains(rules, "10.1.0.2/32") || !strings.Contains(rules, "10.1.0.3/32") {
		t.Error(rules)
	}
	c := cnihost.Call{Plugin: "bridge", Verb: "GC", Conf: withKeys(conf, `"cni.dev/valid-attachments":[]`), Path: dir + ":" + lab.Program("cni")}
	h.Succeed(c)
	cnihost.Same(t, "rules", h.masqRules(), empty)
}

// The two interfaces of a container on one network share a chain of iptables: the DEL of one leaves
// the other its rules.
func TestMasqueradeTwoInterfaces(t *testing.T) {
	h := newHost(t)
	conf := h.conf(`"isGateway":true,"ipMasq":true,"ipMasqBackend":"iptables"`, ranges46)
	a := h.NewPod("a")
	first, second := on(a, conf), on(a, conf)
	second.IfName = "eth1"
	h.Succeed(first.With("ADD"))
	one := h.masqRules()
	result := h.Succeed(second.With("ADD"))
	if err := h.check(second, result); err != nil {
		t.Error(err)
	}
	h.Succeed(second.With("DEL"))
	cnihost.Same(t, "rules after DEL of one", h.masqRules(), one)
	h.Succeed(second.With("ADD"))
	h.Succeed(first.With("DEL"))
	if rules := h.masqRules(); strings.Contains(rules, "10.1.0.2/32") || !strings.Contains(rules, "10.1.0.4/32") && !strings.Contains(rules, "10.1.0.3/32") {
		t.Error(rules)
	}
}

// Either plugin removes the rules that the other has made, in either backend, and passes its pods
// in CHECK.
func TestMasqueradeOfTheReference(t *testing.T) {
	theirs, ours := cnihost.Reference(t), lab.Program("cni")
	for _, backend := range []string{"iptables", "nftables"} {
		t.Run(backend, func(t *testing.T) {
			h := newHost(t)
			conf := h.conf(fmt.Sprintf(`"isDefaultGateway":true,"ipMasq":true,"ipMasqBackend":%q`, backend), ranges46)
			a, b := h.NewPod("a"), h.NewPod("b")
			by := func(p *lab.Pod, path string) cnihost.Call { c := on(p, conf); c.Path = path; return c }
			h.Succeed(by(b, ours).With("ADD")) // whose rules are there all the time
			before := h.masqRules()
			for _, path := range [][2]string{{theirs, ours}, {ours, theirs}} {
				result := h.Succeed(by(a, path[0]).With("ADD"))
				for _, who := range path {
					if err := h.check(by(a, who), result); err != nil {
						t.Errorf("%s: %v", who, err)
					}
				}
				h.Succeed(by(a, path[1]).With("DEL"))
				cnihost.Same(t, "rules after a DEL by the other", h.masqRules(), before)
			}
			h.Succeed(by(a, theirs).With("ADD"))
			h.gc(conf, validKey(b))
			cnihost.Same(t, "rules after a GC", h.masqRules(), before)
			c := h.NewPod("c")
			h.Succeed(by(c, theirs).With("ADD"))
			h.Must("ip", "netns", "del", c.Name)
			gone := by(c, ours)
			gone.Netns = ""
			h.Succeed(gone.With("DEL"))
			cnihost.Same(t, "rules after a DEL without the namespace", h.masqRules(), before)
		})
	}
}
