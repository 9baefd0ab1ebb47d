package ansible

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// site is the operator's machine: a copy of examples/ansible with an inventory of the lab's hosts.
type site struct {
	t     *testing.T
	lab   *lab.Lab
	dir   string
	keys  string
	hosts []*host           // in the inventory
	vars  map[string]string // of each host, instead of its right podnet_ip
	gone  []string          // hosts in the group podnet_removed
	ran   map[string]bool   // command lines of playbooks
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, lab: lab.New(t), dir: filepath.Join(t.TempDir(), "ansible"), vars: map[string]string{}, ran: map[string]bool{}}
	s.keys = t.TempDir()
	must(t, os.CopyFS(s.dir, os.DirFS(filepath.Join(lab.SourceTree(), "examples/ansible"))))
	must(t, os.Symlink(pkg(t), filepath.Join(s.dir, "podnet.deb")))
	for _, name := range []string{"key", "hostkey"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.keys, name)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	return s
}

// inventory writes the hosts as they are now.
func (s *site) inventory() {
	s.t.Helper()
	groups := map[bool]string{}
	for _, h := range s.hosts {
		gone := slices.Contains(s.gone, h.Host)
		ip := h.IP4
		if instead, set := s.vars[h.Host]; set {
			ip = instead
		}
		line := fmt.Sprintf("    %s: {ansible_host: %s, podnet_ip: %s}\n", h.Host, h.IP4, ip)
		if ip == "" {
			line = fmt.Sprintf("    %s: {ansible_host: %s}\n", h.Host, h.IP4)
		}
		groups[gone] += line
	}
	text := "podnet:\n  hosts:\n" + groups[false] + "podnet_removed:\n  hosts:\n" + groups[true]
	text += fmt.Sprintf("all:\n  vars: {ansible_user: root, ansible_python_interpreter: /usr/bin/python3, podnet_podnetctl_here: %s}\n",
		lab.Program("podnetctl"))
	must(s.t, os.WriteFile(filepath.Join(s.dir, "inventory/hosts.yml"), []byte(text), 0o644))
}

func (s *site) topologyPath() string { return filepath.Join(s.dir, "inventory/topology.yaml") }

func (s *site) topology() string {
	s.t.Helper()
	data, err := os.ReadFile(s.topologyPath())
	must(s.t, err)
	return string(data)
}

// edit replaces texts in the topology, in pairs.
func (s *site) edit(replace ...string) {
	s.t.Helper()
	after := strings.NewReplacer(replace...).Replace(s.topology())
	if after == s.topology() {
		s.t.Fatalf("the topology holds none of %q", replace)
	}
	must(s.t, os.WriteFile(s.topologyPath(), []byte(after), 0o644))
}

// run is what a playbook said and how it ended.
type run struct {
	t      *testing.T
	said   string
	code   int
	recaps map[string]string // by host
	took   time.Duration
}

// play runs a playbook on the operator's machine, which is beside the lab's hosts.
func (s *site) play(playbook string, args ...string) *run {
	s.t.Helper()
	s.inventory()
	s.ran[strings.Join(append([]string{"ansible-playbook", playbook}, args...), " ")] = true
	cmd := exec.Command("ansible-playbook", append([]string{playbook}, args...)...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "HOME="+s.keys, "ANSIBLE_CONFIG="+filepath.Join(s.dir, "ansible.cfg"), "ANSIBLE_REMOTE_TMP="+filepath.Join(os.TempDir(), "ansible"), "ANSIBLE_NOCOLOR=1", "ANSIBLE_NOCOWS=1", "LC_ALL=C.UTF-8",
		"ANSIBLE_SSH_ARGS=-o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i "+filepath.Join(s.keys, "key"),
		"ANSIBLE_SSH_CONTROL_PATH_DIR="+filepath.Join(s.keys, "cp"), "PODNET_LAB_STAGE=")
	const patience = 10 * time.Minute
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	out, err := s.lab.Outside().Run(ctx, cmd)
	r := &run{t: s.t, said: out.Stdout + out.Stderr, code: out.Code, took: out.Took, recaps: map[string]string{}}
	if err != nil {
		s.t.Fatalf("%v\n%s", err, r.said)
	}
	_, recap, _ := strings.Cut(r.said, "PLAY RECAP")
	for _, m := range regexp.MustCompile(`(?m)^(\S+) +: (ok=.*\S) *$`).FindAllStringSubmatch(recap, -1) {
		r.recaps[m[1]] = strings.Join(strings.Fields(m[2]), " ")
	}
	r.record(playbook, args)
	return r
}

// record writes the recap lines into the log, and into the file that PODNET_RECAP names.
func (r *run) record(playbook string, args []string) {
	text := fmt.Sprintf("%s: ansible-playbook %s: exit code %d, %.1f s\n", r.t.Name(), strings.Join(append([]string{playbook}, args...), " "), r.code, r.took.Seconds())
	for _, m := range regexp.MustCompile(`(?m)^\S+ +: ok=.*$`).FindAllString(r.said, -1) {
		text += "    " + m + "\n"
	}
	r.t.Log("\n" + text)
	if path := os.Getenv("PODNET_RECAP"); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		must(r.t, err)
		_, err = f.WriteString(text)
		must(r.t, err)
		must(r.t, f.Close())
	}
}

// succeeds wants exit code 0.
func (r *run) succeeds() *run {
	r.t.Helper()
	if r.code != 0 {
		r.t.Fatalf("exit code %d:\n%s", r.code, r.said)
	}
	return r
}

// fails wants it to have failed, with these words among what it said, which nobody has to find in a
// line of JSON.
func (r *run) fails(words ...string) *run {
	r.t.Helper()
	if r.code == 0 {
		r.t.Fatalf("it succeeded:\n%s", r.said)
	}
	if strings.Contains(r.said, "=> {") {
		r.t.Errorf("it failed in JSON:\n%s", r.said)
	}
	return r.says(words...)
}

// says wants these words among what it said, whatever the line breaks.
func (r *run) says(words ...string) *run {
	r.t.Helper()
	said := strings.Join(strings.Fields(r.said), " ")
	for _, w := range words {
		if !strings.Contains(said, w) {
			r.t.Errorf("it does not say %q:\n%s", w, r.said)
		}
	}
	return r
}

// changes wants as many tasks of each host that it reached to have changed something; below 0: at
// least one.
func (r *run) changes(n int) *run {
	r.t.Helper()
	if len(r.recaps) == 0 {
		r.t.Errorf("there is no recap:\n%s", r.said)
	}
	for host, recap := range r.recaps {
		if same := strings.Contains(recap, fmt.Sprintf(" changed=%d ", n)); n >= 0 && !same || n < 0 && strings.Contains(recap, " changed=0 ") {
			r.t.Errorf("%s: %s, want changed=%d\n%s", host, recap, n, r.said)
		}
	}
	return r
}

// pkg is the package that make package has left.
func pkg(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(lab.SourceTree(), "bin/package/*.deb"))
	if err != nil || len(found) != 1 {
		t.Skipf("%d packages in bin/package, want one: run make package", len(found))
	}
	return found[0]
}
