package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet/podnet/test/lab"
)

// host is a node without a daemon, on which plugins are executed.
type host struct {
	*lab.Node
	t *testing.T
}

// newHost makes a host on which bridges get the routes of their link-local address with their
// carrier. With duplicate address detection they would come a second or more later, in the middle
// of what a test compares.
func newHost(t *testing.T) *host {
	t.Helper()
	l := lab.New(t)
	l.OwnRules = true
	h := &host{l.Node("n"), t}
	h.SetSysctl("net/ipv6/conf/default/accept_dad", "0")
	return h
}

// leases is the directory that configurations name as dataDir.
func (h *host) leases() string { return h.Path("/leases") }

// conf makes a configuration of the bridge plugin: fields beside the usual ones, and those of ipam.
func (h *host) conf(fields, ranges string) string {
	if fields != "" {
		fields += ","
	}
	ipam := "{}"
	if ranges != "" {
		ipam = fmt.Sprintf(`{"type":"host-local","dataDir":%q,%s}`, h.leases(), ranges)
	}
	return fmt.Sprintf(`{"cniVersion":"1.0.0","name":"net","type":"bridge","bridge":"br0",%s"ipam":%s}`, fields, ipam)
}

const (
	ranges4  = `"ranges":[[{"subnet":"10.1.0.0/24"}]]`
	ranges6  = `"ranges":[[{"subnet":"fd00:1::/64"}]]`
	ranges46 = `"ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00:1::/64"}]]`
)

// call is one execution of a plugin.
type call struct {
	plugin string // bridge
	verb   string
	id     string
	netns  string
	ifname string // eth0
	args   string
	conf   string
	path   string // CNI_PATH, the plugin in its last directory; the project's
}

// on is a call for a pod.
func on(p *lab.Pod, conf string) call { return call{id: p.ID, netns: p.Path, conf: conf} }

func (c call) with(verb string) call { c.verb = verb; return c }

// run executes a plugin and returns what it printed; an exit code other than 0 is a *lab.CNIError.
func (h *host) run(c call) (string, error) {
	h.t.Helper()
	if c.plugin == "" {
		c.plugin = "bridge"
	}
	if c.ifname == "" {
		c.ifname = "eth0"
	}
	if c.path == "" {
		c.path = lab.Program("cni")
	}
	dirs := filepath.SplitList(c.path)
	cmd := exec.Command(filepath.Join(dirs[len(dirs)-1], c.plugin))
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+c.verb, "CNI_CONTAINERID="+c.id, "CNI_NETNS="+c.netns, "CNI_IFNAME="+c.ifname,
		"CNI_PATH="+c.path, "CNI_ARGS="+c.args)
	cmd.Stdin = strings.NewReader(c.conf)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := h.Run(ctx, cmd)
	if err != nil {
		h.t.Fatal(err)
	}
	if out.Code == 0 {
		return out.Stdout, nil
	}
	fault := &lab.CNIError{Plugin: c.plugin, Verb: c.verb}
	if err := json.Unmarshal([]byte(out.Stdout), fault); err != nil {
		h.t.Fatalf("%s %s: exit code %d, and no error on stdout: %q %q", c.plugin, c.verb, out.Code, out.Stdout, out.Stderr)
	}
	return out.Stdout, fault
}

// must is run for calls that have to succeed.
func (h *host) must(c call) string {
	h.t.Helper()
	out, err := h.run(c)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// check is a CHECK with the result of the ADD.
func (h *host) check(c call, result string) error {
	h.t.Helper()
	c.conf = strings.TrimSuffix(c.conf, "}") + `,"prevResult":` + result + "}"
	_, err := h.run(c.with("CHECK"))
	return err
}

// fails wants a call to fail with a code and a message that has all of these words.
func (h *host) fails(c call, code int, words ...string) {
	h.t.Helper()
	_, err := h.run(c)
	wantFault(h.t, err, code, words...)
}

func wantFault(t *testing.T, err error, code int, words ...string) {
	t.Helper()
	fault, ok := err.(*lab.CNIError)
	if !ok || fault.Code != code {
		t.Errorf("got %v, want code %d", err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(fault.Msg+" "+fault.Details, w) {
			t.Errorf("%q lacks %q", fault.Msg+" "+fault.Details, w)
		}
	}
}

// state is all that the plugins could have changed on the host, as text that is the same as long as
// nothing is changed.
func (h *host) state() string {
	h.t.Helper()
	h.settle()
	var b strings.Builder
	for _, line := range []string{"ip -o link show", "ip -o addr show", "ip route show table all", "ip -6 route show table all",
		"ip neigh show nud permanent", "ip -6 neigh show nud permanent"} {
		b.WriteString(h.Sh(line))
	}
	b.WriteString(h.podNeighbours())
	return strings.ReplaceAll(b.String(), " tentative", "") + strings.Join(leaseFiles(h.t, h), "\n")
}

// podNeighbours are the entries of pods, without their state, which changes with the traffic.
func (h *host) podNeighbours() string {
	h.t.Helper()
	var b strings.Builder
	for line := range strings.Lines(h.Sh("ip neigh show")) {
		if entry, _, is := strings.Cut(line, " extern_learn"); is {
			b.WriteString(entry + "\n")
		}
	}
	return b.String()
}

// settle waits until the bridges, the plugins' and the foreign one, have noticed that they have a
// port, which they do a while after the port.
func (h *host) settle() {
	h.t.Helper()
	for _, bridge := range []string{"br0", "other0"} {
		lab.Eventually(h.t, lab.Patience, "carrier of "+bridge, func() error {
			links, routes := h.Sh("ip -o link show"), h.Sh("ip route show dev "+bridge)
			if strings.Contains(links, "master "+bridge+" state UP") && (strings.Contains(links, bridge+": <NO-CARRIER") || strings.Contains(routes, "linkdown")) {
				return errors.New("none")
			}
			return nil
		})
	}
}

// leaseFiles are the names of the leases in the network's directory.
func leaseFiles(t *testing.T, h *host) []string {
	t.Helper()
	entries, err := os.ReadDir(h.leases() + "/net")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if _, err := netip.ParseAddr(e.Name()); err == nil {
			names = append(names, e.Name())
		}
	}
	return names
}

// inside is what a pod's processes see of their interfaces.
func inside(t *testing.T, p *lab.Pod) string {
	t.Helper()
	lab.Eventually(t, lab.Patience, "the kernel's link watch has come to eth0", func() error {
		out, err := p.Exec("ip", "-o", "-br", "link", "show", "dev", "eth0")
		if err == nil && strings.Contains(out, "UNKNOWN") && strings.Contains(out, "LOWER_UP") {
			err = errors.New(out)
		}
		return err
	})
	var b strings.Builder
	for _, line := range []string{"ip -o -br link show", "ip -o -br addr show eth0", "ip route show", "ip -6 route show"} {
		out, err := p.Exec(strings.Fields(line)...)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(out)
	}
	return normal(b.String())
}

var (
	random = regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}|@if[0-9]+|veth[0-9a-f]{11}|fe80::[0-9a-f:]+(/64)? ?`)
	spaces = regexp.MustCompile(`[ \t]+`)
)

// normal takes out what is random.
func normal(text string) string {
	text = random.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case strings.HasPrefix(s, "veth"):
			return "VETH"
		case strings.HasPrefix(s, "@"), strings.HasPrefix(s, "fe80"):
			return ""
		}
		return "MAC"
	})
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(spaces.ReplaceAllString(line, " "))
	}
	return strings.Join(lines, "\n") + "\n"
}

var indexes = regexp.MustCompile(`(?m)^[0-9]+: |link-netnsid [0-9]+|link-netns [^ ]+`)

// sameWithoutIndexes compares states of which one was reached by making links again.
func sameWithoutIndexes(t *testing.T, what, got, want string) {
	t.Helper()
	same(t, what, indexes.ReplaceAllString(got, ""), indexes.ReplaceAllString(want, ""))
}

// same compares texts line by line.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: want -, got +\n%s", what, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
}
