package ansible

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Isolate(m, "podnetd", "podnetctl", "cni/bridge"))
}

func requireTools(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"ansible-playbook", "ssh-keygen", "ssh", "/usr/sbin/sshd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (apt-get install ansible-core openssh-server openssh-client)", tool)
		}
	}
	if os.Geteuid() != 0 || !isRealRoot(t) {
		t.Skip("hosts with a root of their own and an sshd need root, not a user namespace")
	}
}

// isRealRoot: in a user namespace of one user sshd can change to no other.
func isRealRoot(t *testing.T) bool {
	t.Helper()
	ids, err := os.ReadFile("/proc/self/uid_map")
	must(t, err)
	return strings.HasSuffix(strings.TrimSpace(string(ids)), "4294967295")
}

// follows says what keeps the hosts from being on this topology.
func (s *site) follows(topology string, hosts ...*host) {
	s.t.Helper()
	for _, h := range hosts {
		out, err := h.sh("podnetctl status --digest " + strings.TrimPrefix(lab.Digest(topology), "sha256:"))
		if err != nil {
			s.t.Errorf("%s: %v\n%s", h.Host, err, out)
		}
	}
}

// TestRollout is a cluster's life: made, looked at, grown, protected from what is wrong, shrunk.
func TestRollout(t *testing.T) {
	requireTools(t)
	s := newSite(t)
	a, b, c := newHost(t, s.lab, "node-a", s.keys), newHost(t, s.lab, "node-b", s.keys), newHost(t, s.lab, "node-c", s.keys)
	s.hosts = []*host{a, b}

	s.vars["node-b"] = ""
	s.play("allocate.yml").fails("node-b", "podnet_ip", "not set")
	s.vars["node-b"] = "192.0.2.300"
	s.play("rollout.yml").fails("node-b: podnet_ip is", "write its underlay address, such as 192.0.2.11, into the inventory").changes(0)
	delete(s.vars, "node-b")
	s.untouched(a, b)

	s.play("allocate.yml").succeeds().says("changed=1")
	s.play("allocate.yml").succeeds().changes(0)
	s.play("diff.yml", "--check").succeeds().says("2 nodes new node", "node-a, node-b").changes(0)
	s.untouched(a, b)
	s.play("rollout.yml").succeeds().changes(-1)
	s.follows(s.topology(), a, b)
	s.play("rollout.yml").succeeds().changes(0)
	s.play("diff.yml").succeeds().says("2 nodes nothing to do", "all from "+lab.Digest(s.topology())[:19]).changes(0)
	t.Run("broken file", func(t *testing.T) { s.on(t).brokenFile(a, b) })

	if os.Getenv("PODNET_ANSIBLE") != "full" {
		return // make e2e does the rest
	}
	t.Run("add a node", func(t *testing.T) { s.on(t).addNode(c, a, b) })
	t.Run("refused file", func(t *testing.T) { s.on(t).refusedFile(a, b) })
	t.Run("canary fails", func(t *testing.T) { s.on(t).canaryFails(a, b) })
	t.Run("remove a node", func(t *testing.T) { s.on(t).removeNode(c, a, b) })
	s.on(t).readme()
}

// readme: every command of the documentation has been run.
func (s *site) readme() {
	text, err := os.ReadFile(filepath.Join(s.dir, "README.md"))
	must(s.t, err)
	commands := regexp.MustCompile(`(?m)^    (ansible-playbook [^#\n]*[^# \n])`).FindAllStringSubmatch(string(text), -1)
	if len(commands) < 5 {
		s.t.Errorf("%d commands in README.md", len(commands))
	}
	for _, c := range commands {
		if !s.ran[c[1]] {
			s.t.Errorf("README.md: nothing here runs %s", c[1])
		}
	}
}

// TestLint is what ansible-lint finds in the playbooks.
func TestLint(t *testing.T) {
	if _, err := exec.LookPath("ansible-lint"); err != nil {
		t.Skip("ansible-lint is not installed (apt-get install ansible-lint)")
	}
	dir := filepath.Join(t.TempDir(), "ansible")
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(lab.SourceTree(), "examples/ansible"))))
	cmd := exec.Command("ansible-lint", "--offline", "--nocolor", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// on is the site for a subtest.
func (s *site) on(t *testing.T) *site { s.t = t; return s }

// untouched: nothing of podnet is there.
func (s *site) untouched(hosts ...*host) {
	s.t.Helper()
	for _, h := range hosts {
		for _, path := range []string{"/etc/podnet/topology.yaml", "/usr/bin/podnetctl", "/etc/default/podnetd"} {
			if h.exists(path) {
				s.t.Errorf("%s has %s", h.Host, path)
			}
		}
	}
}

func (s *site) addNode(c *host, old ...*host) {
	s.hosts = append(s.hosts, c)
	before := s.topology()
	s.play("rollout.yml").fails("node-c has no podCIDR: run allocate.yml and commit").changes(0)
	s.play("allocate.yml").succeeds()
	if after := s.topology(); strings.Count(after, "10.244.2.0/24") != 1 || !strings.Contains(after, "nodeCount: 3") || !strings.HasPrefix(after, before[:strings.Index(before, "nodeCount")]) {
		s.t.Errorf("the ledger is now\n%s", after)
	}
	s.play("diff.yml").succeeds().says("2 nodes +1 peer (6 objects)", "1 node new node", "node-a, node-b", "node-c")
	s.follows(before, old...)
	s.untouched(c)
	s.play("rollout.yml", "--limit", "node-c,node-a").succeeds() // the rest later: --limit needs no facts of the others
	s.play("rollout.yml").succeeds()
	s.follows(s.topology(), append(old, c)...)
	s.play("status.yml").succeeds().says("3 nodes IN SYNC", "node-a .. node-c").changes(0)
	if page, err := os.ReadFile(filepath.Join(s.dir, "inventory/reports/fleet.html")); err != nil || !strings.Contains(string(page), "3 of 3 nodes in sync") {
		s.t.Errorf("%v: %.500s", err, page)
	}
}

// brokenFile: what is no topology reaches nobody.
func (s *site) brokenFile(hosts ...*host) {
	before := s.topology()
	s.edit("192.0.2.12", "{{ node_b_ip }}")
	s.play("rollout.yml").fails("nodes[1].ip").changes(0)
	s.play("diff.yml").fails("nodes[1].ip").changes(0)
	s.follows(before, hosts...)
	must(s.t, os.WriteFile(s.topologyPath(), []byte(before), 0o644))
}

// refusedFile: a valid file that would take every node from all others stops at the first node,
// which keeps its own.
func (s *site) refusedFile(hosts ...*host) {
	before := s.topology()
	s.edit("name: lab", "name: prod")
	s.play("diff.yml").fails("node-a would refuse the file", "3 refused by the guard")
	s.play("rollout.yml").fails("failed to validate", "metadata.name").changes(0)
	s.follows(before, hosts...)
	must(s.t, os.WriteFile(s.topologyPath(), []byte(before), 0o644))
}

// canaryFails: the first node cannot follow the new file, so no other gets it.
func (s *site) canaryFails(a, b *host) {
	before := s.topology()
	s.edit("nodeCount: 3", "nodeCount: 4", "nodes:\n", "nodes:\n- {name: node-z, ip: 192.0.2.99, podCIDRs: [10.244.9.0/24, 'fd00:10:244:9::/64']}\n")
	signal := func(name string) {
		if out, err := a.sh("kill -" + name + " $(cat /run/podnetd.pid)"); err != nil {
			s.t.Fatalf("%v: %s", err, out)
		}
	}
	signal("STOP")
	s.play("rollout.yml", "-e", "podnet_wait=2s").fails("node-a NOT IN SYNC the file on disk is not in force yet")
	s.follows(before, b)
	signal("CONT")
	must(s.t, os.WriteFile(s.topologyPath(), []byte(before), 0o644))
	s.play("rollout.yml").succeeds()
	s.follows(before, a, b)
}

// removeNode: named in removedNodes, gone from everywhere, cleared.
func (s *site) removeNode(c *host, rest ...*host) {
	s.gone = []string{"node-c"}
	s.play("remove.yml").fails("node-c is not in removedNodes")
	text := s.topology()
	entry := text[strings.Index(text, "- name: node-c"):]
	s.edit(entry, "", "nodeCount: 3", "nodeCount: 2", "removedNodes: []", "removedNodes: [node-c]")
	s.play("diff.yml").succeeds().says("2 nodes -1 peer (6 objects)")
	s.play("rollout.yml").succeeds()
	s.follows(s.topology(), rest...)
	s.keepsPodnet(c)
	s.play("remove.yml").succeeds().changes(-1)
	if out, err := c.Exec("ip", "-o", "link"); err != nil || strings.Contains(out, "cni0") || strings.Contains(out, "podnet.1") {
		s.t.Errorf("%v: node-c still has\n%s", err, out)
	}
	s.play("remove.yml").succeeds().changes(0)
}

// keepsPodnet: a node with a pod is not cleared, and goes on as before.
func (s *site) keepsPodnet(c *host) {
	pod := func(line string) {
		if out, err := c.Exec(strings.Fields(line)...); err != nil {
			s.t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	pod("ip link add veth0pod group 7201 type veth peer name pod")
	s.play("remove.yml").fails("podnet stays on node-c and runs again")
	lab.Eventually(s.t, lab.Patience, "podnetd runs again on node-c", func() error {
		out, err := c.Exec("ss", "-xl")
		if err == nil && !strings.Contains(out, "@podnetd") {
			err = errors.New(out)
		}
		return err
	})
	if out, err := c.Exec("ip", "-o", "link", "show", "group", "7200"); err != nil || out == "" {
		s.t.Errorf("%v: a refused removal has taken podnet's links", err)
	}
	pod("ip link del veth0pod")
}
