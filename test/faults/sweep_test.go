package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// change is one kind of work that a process is killed in.
type change struct {
	name string
	// begin makes the state that the work starts from, out of any that an earlier work ended in.
	begin func(*target)
	// work is the process that is killed.
	work func(*target) *exec.Cmd
	// again is what makes good what the kill left behind: the same command, or a daemon that
	// starts.
	again func(*target) error
}

// shape is a topology and its edit.
type shape struct {
	name         string
	before, next func(*lab.Lab) lab.Topology
}

func shapes() []shape {
	edit := func(of func(*lab.Lab) lab.Topology) func(*lab.Lab) lab.Topology {
		return func(l *lab.Lab) lab.Topology {
			t := of(l)
			t.Extra = slices.Clone(t.Extra)
			t.Nodes = slices.Clone(t.Nodes)
			t.Nodes[1].IP = strings.NewReplacer("192.0.2.12", "192.0.2.112", "2001:db8::12", "2001:db8::112").Replace(t.Nodes[1].IP)
			t.Nodes[2].Name, t.Nodes[2].PodCIDRs = "node-d", []string{lab.PodCIDR4(9), lab.PodCIDR6(9)}[:len(t.Nodes[2].PodCIDRs)]
			t.Extra[0] = strings.Replace(t.Extra[0], "network: {", "network: {mtu: 1400, ", 1)
			return t
		}
	}
	only := func(family int, network string, ip func(i int) string) func(*lab.Lab) lab.Topology {
		return func(l *lab.Lab) lab.Topology {
			t := lab.Topology{Name: "lab", Extra: []string{network, "safety: {maxDisruptedPeersPercent: 100}"}}
			for i, name := range []string{"node-a", "node-b", "node-c"} {
				e := lab.Entry{Name: name, IP: ip(i), PodCIDRs: []string{lab.PodCIDR4(i), lab.PodCIDR6(i)}}
				if family == 4 {
					e.PodCIDRs = e.PodCIDRs[:1]
				}
				t.Nodes = append(t.Nodes, e)
			}
			return t
		}
	}
	v4 := func(i int) string { return fmt.Sprintf("192.0.2.%d", 11+i) }
	v6 := func(i int) string { return fmt.Sprintf("2001:db8::%d", 11+i) }
	all := []shape{
		{name: "IPv4", before: only(4, `network: {clusterCIDRs: ["10.244.0.0/16"]}`, v4)},
		{name: "dual stack", before: only(0, `network: {clusterCIDRs: ["10.244.0.0/16", "fd00:10:244::/48"]}`, v4)},
		{name: "IPv6 underlay, no masquerade", before: only(0, `network: {masquerade: {enabled: false}, clusterCIDRs: ["10.244.0.0/16", "fd00:10:244::/48"]}`, v6)},
	}
	for i := range all {
		all[i].next = edit(all[i].before)
	}
	return all
}

// target is the node that processes are killed on.
type target struct {
	*lab.Node
	t            *testing.T
	before, next string // topologies
}

func newTarget(t *testing.T, s shape) *target {
	l := lab.New(t)
	n := l.Node("node-a")
	return &target{n, t, s.before(l).String(), s.next(l).String()}
}

// ctl is podnetctl on the node, not started yet.
func (n *target) ctl(args ...string) *exec.Cmd {
	return exec.Command(lab.Program("podnetctl"), append([]string{"--root", n.Root, "--node", n.Host}, args...)...)
}

// podnetd is the daemon on the node, not started yet; killAt stops it after its first pass.
func (n *target) podnetd() *exec.Cmd {
	cmd := exec.Command(lab.Program("podnetd"), "--root", n.Root, "--node", n.Host, "--resync", "10m", "--metrics-addr", "")
	log, err := os.OpenFile(n.Path("podnetd.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { log.Close() })
	cmd.Stdout, cmd.Stderr = log, log
	return cmd
}

// succeeds runs podnetctl, which has to exit with 0.
func (n *target) succeeds(args ...string) error {
	n.t.Helper()
	if out := n.Podnetctl(args...); out.Code != 0 {
		return fmt.Errorf("podnetctl %s: exit code %d: %s%s", strings.Join(args, " "), out.Code, out.Stdout, out.Stderr)
	}
	return nil
}

func (n *target) must(args ...string) {
	n.t.Helper()
	if err := n.succeeds(args...); err != nil {
		n.t.Fatal(err)
	}
}

// bare takes podnet off the node and makes host-wide settings what they were.
func (n *target) bare() {
	n.t.Helper()
	n.must("teardown")
	for _, path := range []string{lab.TopologyPath, "/next.yaml"} {
		if err := os.RemoveAll(n.Path(path)); err != nil {
			n.t.Fatal(err)
		}
	}
	n.SetSysctl("net/ipv4/ip_forward", "0")
	n.SetSysctl("net/ipv6/conf/all/forwarding", "0")
	for _, link := range []string{"eth0", "other0", "other1", "other2", "other3"} {
		n.SetSysctl("net/ipv6/conf/"+link+"/accept_ra", "1")
	}
}

// has puts a topology in force.
func (n *target) has(topology string) {
	n.t.Helper()
	n.WriteFile("/next.yaml", topology)
	n.must("apply", n.Path("/next.yaml"))
}

// restart has a daemon put things right and leaves again.
func (n *target) restart() error {
	d := n.Launch()
	content, err := n.ReadFile(lab.TopologyPath)
	if err != nil {
		return err
	}
	_, err = lab.Poll(n.t.Context(), lab.Patience, func() error {
		if s, err := n.Status(); err != nil || s.Daemon.PID != d.PID || !s.InSync || s.Topology.Digest != lab.Digest(content) {
			return fmt.Errorf("not in sync after a restart: %+v, %v\n%s", s.Conditions, err, d.Log())
		}
		return nil
	})
	n.Stop()
	return err
}

func changes() []change {
	apply := func(path string) func(*target) error {
		return func(n *target) error { return n.succeeds("apply", n.Path(path)) }
	}
	// Whether the killed process had begun or ended the trial or not: it is ended now.
	end := func(verb string) func(*target) error {
		return func(n *target) error {
			n.Podnetctl(verb)
			return n.restart()
		}
	}
	before := func(n *target) {
		n.Podnetctl("rollback") // of a trial that an earlier work has left
		n.has(n.before)
		n.WriteFile("/next.yaml", n.next)
	}
	onTrial := func(n *target) {
		before(n)
		n.must("apply", "--confirm", "10m", n.Path("/next.yaml"))
	}
	return []change{
		{
			name: "apply: first", begin: func(n *target) { n.bare(); n.WriteFile("/next.yaml", n.before) },
			work: func(n *target) *exec.Cmd { return n.ctl("apply", n.Path("/next.yaml")) }, again: apply("/next.yaml"),
		},
		{
			name: "apply: edit", begin: func(n *target) { n.has(n.before); n.WriteFile("/next.yaml", n.next) },
			work: func(n *target) *exec.Cmd { return n.ctl("apply", n.Path("/next.yaml")) }, again: apply("/next.yaml"),
		},
		{
			name: "podnetd: first start", begin: func(n *target) { n.bare(); n.Write(n.before) },
			work: (*target).podnetd, again: (*target).restart,
		},
		{
			name: "podnetd: edit", begin: func(n *target) { n.has(n.before); n.Write(n.next) },
			work: (*target).podnetd, again: (*target).restart,
		},
		{
			name: "apply --confirm", begin: before,
			work: func(n *target) *exec.Cmd { return n.ctl("apply", "--confirm", "10m", n.Path("/next.yaml")) }, again: end("rollback"),
		},
		{name: "rollback", begin: onTrial, work: func(n *target) *exec.Cmd { return n.ctl("rollback") }, again: end("rollback")},
		{name: "confirm", begin: onTrial, work: func(n *target) *exec.Cmd { return n.ctl("confirm") }, again: end("confirm")},
		{
			name: "teardown", begin: func(n *target) { n.has(n.before) },
			work:  func(n *target) *exec.Cmd { return n.ctl("teardown") },
			again: func(n *target) error { return n.succeeds("teardown") },
		},
	}
}

// settled is everything when the kernel is through with it: IPv6 addresses get their routes some
// time after the command.
func (n *target) settled() string {
	n.t.Helper()
	var last string
	lab.Eventually(n.t, lab.Patience, "two looks alike", func() error {
		before := last
		last = n.everything()
		return errors.Join(lab.SameState(before, last), n.answers())
	})
	return last
}

// answers says which IPv6 address of the bridge has no route to itself yet.
func (n *target) answers() error {
	addrs, err := n.Exec("ip", "-6", "-o", "addr", "show", "dev", "cni0", "scope", "global")
	if err != nil {
		return nil // there is no bridge
	}
	local, err := n.Exec("ip", "-6", "route", "show", "table", "local", "dev", "cni0")
	for line := range strings.Lines(addrs) {
		if addr, _, _ := strings.Cut(strings.Fields(line)[3], "/"); !strings.Contains(local, "local "+addr+" ") {
			err = errors.Join(err, fmt.Errorf("%s has no route to itself", addr))
		}
	}
	return err
}

// becomes waits until everything is as it was.
func (n *target) becomes(want string) error {
	_, err := lab.Poll(n.t.Context(), lab.Patience, func() error { return lab.SameState(want, n.everything()) })
	return err
}

// everything is all that the kernel holds, foreign objects included, and the files of the node,
// less what tells the time.
func (n *target) everything() string {
	files := n.Files()
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if path != "/podnetd.log" && path != rolledBack {
			fmt.Fprintf(&b, "%s: %q\n", path, timeless(path, files[path]))
		}
	}
	return "# files\n" + b.String() + n.State()
}

// rolledBack says which trials were undone, and when; a killed process may not have come so far.
const rolledBack = "/var/lib/podnet/rolled-back"

func timeless(path, content string) string {
	switch {
	case path == lab.StatusPath && json.Valid([]byte(content)):
		return "a status"
	case path == "/var/lib/podnet/pending/trial.json" && json.Valid([]byte(content)):
		return "a trial"
	}
	return content
}

// half says which file of the node is neither of those that may be there, after a kill.
func (n *target) half() error {
	for path, content := range n.Files() {
		whole := true
		switch path {
		case lab.TopologyPath, lab.LastGoodPath:
			whole = content == n.before || content == n.next
		case lab.StatusPath, lab.ConflistPath:
			whole = json.Valid([]byte(content))
		}
		if !whole {
			return fmt.Errorf("%s holds half a file: %q", path, content)
		}
	}
	return nil
}
