// Package docs has the pages of the source tree do what they say: every command on them is run, on
// servers such as the reader's, and has to end and to answer as the page says.
package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// runner says what runs the commands of a page.
type runner struct {
	page    string
	servers []string // here, on booted servers of these names
	fresh   bool     // they have the package, and it is not installed
	plain   bool     // indented blocks are commands for the first server
	by      string   // elsewhere: a directory with a test that names the page
}

// The servers of pages.
var (
	one   = []string{"node-a"}
	two   = []string{"node-a", "node-b"}
	three = []string{"node-a", "node-b", "node-c"}
)

// runners is every page that has commands.
func runners() []runner {
	return []runner{
		{page: "README.md", servers: one, fresh: true, plain: true}, // what it says of make: TestMakeTargets
		{page: "examples/quickstart/README.md", servers: three, fresh: true},
		{page: "cmd/podnetctl/README.md", servers: three},
		{page: "examples/runtimes/README.md", servers: one},
		{page: "examples/from-flannel/README.md", servers: two},
		{page: "examples/changes/README.md", servers: three},
		{page: "state/README.md", servers: two},
		{page: "reconcile/README.md", servers: three},
		{page: "systemd/README.md", servers: one, fresh: true},
		{page: "ARCHITECTURE.md"}, // pictures only
		{page: "examples/ansible/README.md", by: "test/ansible"},
		{page: "examples/etcd/README.md", by: "test/etcd"},
		{page: "systemd/package/podnet-topology.5.md", by: "test/package"},
	}
}

func TestPages(t *testing.T) {
	for _, r := range runners() {
		if r.by == "" {
			t.Run(strings.TrimSuffix(r.page, "/README.md"), func(t *testing.T) { play(t, r) })
		}
	}
}

// play runs a page from its first line to its last.
func play(t *testing.T, r runner) {
	requireServers(t)
	t.Parallel()
	steps, err := stepsOf(r)
	must(t, err)
	l := lab.New(t)
	l.OwnRules, l.OwnConflists = true, true
	servers := map[string]*server{}
	for _, name := range r.servers {
		servers[name] = boot(t, l, name)
		if !r.fresh {
			servers[name].install()
		}
	}
	for _, s := range steps {
		for _, host := range s.hosts(r) {
			s.on(t, r.page, servers[host])
		}
	}
}

// stepsOf are the commands of a page, in its order.
func stepsOf(r runner) ([]step, error) {
	blocks, err := readPage(r.page)
	if err != nil {
		return nil, err
	}
	var all []step
	for _, b := range blocks {
		switch b.language {
		case indented:
			all = append(all, b.plain(r.servers[0])...)
		case console:
			steps, err := b.steps()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.page, err)
			}
			all = append(all, steps...)
		}
	}
	return all, nil
}

// hosts are the servers that a step runs on.
func (s step) hosts(r runner) []string {
	if s.host == everyone {
		return r.servers
	}
	return []string{s.host}
}

func (s step) on(t *testing.T, page string, host *server) {
	t.Helper()
	where := fmt.Sprintf("%s:%d: %s# %s", page, s.line, host.Host, s.command)
	var out string
	answer := func() (err error) {
		var code int
		if out, code, err = host.run(s.command); err != nil {
			t.Fatalf("%s: %v\n%s", where, err, out)
		}
		if code != s.exit && !(s.either && code == 1) {
			return fmt.Errorf("exit code %d, the page says %d\n%s", code, s.exit, out)
		}
		return matches(s.says, out)
	}
	wait := time.Duration(0)
	if s.late() {
		wait = lab.Patience
	}
	if _, err := lab.Poll(t.Context(), wait, answer); err != nil {
		t.Errorf("%s: %v", where, err)
	}
	if os.Getenv("PODNET_DOCS") != "" { // for who writes a page
		t.Logf("%s\n%s", where, out)
	}
}

// late reports whether the command only shows what systemd notes down after the fact, so that a
// reader who types it sees more than a test that runs it at once.
func (s step) late() bool {
	return strings.HasPrefix(s.command, "journalctl ") || strings.HasPrefix(s.command, "systemctl status ")
}

func requireServers(t *testing.T) {
	t.Helper()
	if err := lab.RequireBoot(); err != nil {
		t.Skip(err)
	}
	if err := lab.RequirePrograms("cnitool", "reference"); err != nil {
		t.Skipf("%v (make reference)", err)
	}
}
