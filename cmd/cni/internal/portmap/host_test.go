package portmap

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// kinds are the ways to put mappings in force: iptables is either of its two kinds, by what its
// programs' names lead to.
var kinds = []string{"iptables-nft", "iptables-legacy", "nftables"}

// host is a node with a bridge for pods, in the world of a lab: others reach it by its addresses,
// and the pods through it.
type host struct {
	*cnihost.Node
	lab  *lab.Lab
	kind string
	path string // PATH of plugins
	pods int

	records string // what the crowd's configuration names for them; empty: nothing
}

func newHost(t *testing.T, kind string) *host {
	t.Helper()
	l := lab.New(t)
	l.OwnRules = true
	h := &host{Node: cnihost.On(t, l.Node("n")), lab: l, kind: kind, path: os.Getenv("PATH")}
	if multi := strings.Replace(kind, "iptables", "xtables", 1) + "-multi"; kind != nameNFTables {
		h.path = programs(t, multi) + ":" + h.path
	}
	h.SetSysctl("net/ipv4/ip_forward", "1")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "1")
	if err := h.Batch("ip", "link add br0 address 02:00:00:00:00:01 type bridge mcast_snooping 0", "link set br0 addrgenmode none", "addr add 10.1.0.1/24 dev br0", "addr add fd00:1::1/64 dev br0 nodad", "link set br0 up"); err != nil {
		t.Fatal(err)
	}
	return h
}

// programs is a directory in which iptables is of one kind.
func programs(t *testing.T, multi string) string {
	t.Helper()
	target, err := exec.LookPath(multi)
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func forKinds(t *testing.T, f func(*testing.T, *host)) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f(t, newHost(t, kind))
		})
	}
}

// pod is one on the bridge, with addresses and without the bridge plugin.
type pod struct {
	*lab.Pod
	ip4, ip6, veth string
}

func (h *host) pod(name string) *pod {
	h.T.Helper()
	h.pods++
	p := &pod{h.NewPod(name), fmt.Sprintf("10.1.0.%d", h.pods+1), fmt.Sprintf("fd00:1::%d", h.pods+1), fmt.Sprintf("veth%d", h.pods)}
	veth := p.veth
	if err := h.Batch("ip", fmt.Sprintf("link add %s type veth peer name eth0 netns %s", veth, p.Name), "link set "+veth+" addrgenmode none",
		"link set "+veth+" master br0 up", "link set "+veth+" type bridge_slave hairpin on"); err != nil {
		h.T.Fatalf("%v", err)
	}
	if err := p.Batch("ip", "addr add "+p.ip4+"/24 dev eth0", "addr add "+p.ip6+"/64 dev eth0 nodad", "link set eth0 up",
		"route add default via 10.1.0.1", "route add default via fd00:1::1"); err != nil {
		h.T.Fatalf("%v", err)
	}
	for _, gateway := range []string{"10.1.0.1", "fd00:1::1"} {
		lab.Eventually(h.T, lab.Patience, "the pod's link", func() error { return p.Ping(gateway) })
	}
	return p
}

// call is one execution of the plugin.
type call struct {
	verb, id, netns, ifname string
	conf                    map[string]any
	path                    string // the plugin's directory; the project's
}

// with is a configuration with more fields, in JSON.
func (c call) with(fields string) call {
	more := map[string]any{}
	if err := json.Unmarshal([]byte("{"+fields+"}"), &more); err != nil {
		panic(err)
	}
	conf := map[string]any{}
	for _, m := range []map[string]any{c.conf, more} {
		for k, v := range m {
			conf[k] = v
		}
	}
	c.conf = conf
	return c
}

func (c call) without(field string) call {
	c = c.with("")
	delete(c.conf, field)
	return c
}

func (c call) as(verb string) call { c.verb = verb; return c }

// on asks for mappings of a pod: "8080:80/tcp", with a host address "192.0.2.11=8080:80/tcp".
func (h *host) on(p *pod, ports ...string) call {
	h.T.Helper()
	var maps []map[string]any
	for _, text := range ports {
		m := map[string]any{}
		if addr, rest, ok := strings.Cut(text, "="); ok {
			m["hostIP"], text = addr, rest
		}
		var from, to int
		var protocol string
		if _, err := fmt.Sscanf(strings.NewReplacer(":", " ", "/", " ").Replace(text), "%d %d %s", &from, &to, &protocol); err != nil {
			h.T.Fatalf("%s: %v", text, err)
		}
		m["hostPort"], m["containerPort"], m["protocol"] = from, to, protocol
		maps = append(maps, m)
	}
	prev := fmt.Sprintf(`{"cniVersion":"1.1.0","interfaces":[{"name":"br0"},{"name":"v"},{"name":"eth0","sandbox":%q}],
		"ips":[{"interface":2,"address":"%s/24"},{"interface":2,"address":"%s/64"}]}`, p.Path, p.ip4, p.ip6)
	backend, _, _ := strings.Cut(h.kind, "-")
	c := call{verb: "ADD", id: p.ID, netns: p.Path, ifname: "eth0", conf: map[string]any{"cniVersion": "1.1.0", "name": "net", "type": "portmap",
		"backend": backend, "capabilities": map[string]bool{"portMappings": true}, "runtimeConfig": map[string]any{"portMappings": maps}}}
	return c.with(`"prevResult":` + prev)
}

// run executes the plugin and returns what it printed; an error is a *cnihost.Fault.
func (h *host) run(c call) (string, error) {
	h.T.Helper()
	conf, err := json.Marshal(c.conf)
	if err != nil {
		h.T.Fatalf("%v", err)
	}
	return h.Try(cnihost.Call{Plugin: "portmap", Verb: c.verb, ID: c.id, Netns: c.netns, IfName: c.ifname,
		Conf: string(conf), Path: c.path, Env: []string{"PATH=" + h.path}})
}

func (h *host) must(c call) string {
	h.T.Helper()
	out, err := h.run(c)
	if err != nil {
		h.T.Fatalf("%v", err)
	}
	return out
}

// fails wants a call to fail with a code and a message that has all of these words.
func (h *host) fails(c call, code int, words ...string) {
	h.T.Helper()
	_, err := h.run(c)
	cnihost.WantFault(h.T, err, code, words...)
}

var (
	emptyBase  = regexp.MustCompile(`\tchain \w+ \{\n\t\ttype [^\n]*\n\t\}\n\n?`)
	emptyTable = regexp.MustCompile(`table \w+ \w+ \{\n\}\n`)
	// elements of a set come in any order, the first behind a word and the last before a brace
	elementNoise = regexp.MustCompile(`(?m)^\t+ *(elements = \{ )?|( \}|,)$`)
	saveNoise    = regexp.MustCompile(`(?m)^(#|:[A-Z]+ ACCEPT|\*|COMMIT).*\n| \[\d+:\d+\]`)
)

// rules is the whole firewall of the node, of every kind, without base chains that have no rules.
func (h *host) rules() string {
	h.T.Helper()
	text := emptyTable.ReplaceAllString(emptyBase.ReplaceAllString(h.Sh("nft -s list ruleset"), ""), "")
	text += saveNoise.ReplaceAllString(h.Sh("iptables-legacy-save")+h.Sh("ip6tables-legacy-save"), "")
	return text
}

// same compares texts line by line, in whatever order: tables and chains come in the order in which
// they were made.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	lines := func(text string) []string {
		list := slices.DeleteFunc(strings.Split(elementNoise.ReplaceAllString(text, ""), "\n"), func(line string) bool { return line == "" })
		slices.Sort(list)
		return list
	}
	if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
		t.Errorf("%s: want -, got +\n%s", what, diff)
	}
}
