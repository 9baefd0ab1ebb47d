package cnihost

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet/podnet/test/lab"
)

// T is a test.
type T interface {
	lab.TB
	Errorf(format string, args ...any)
	Skip(args ...any)
}

// Node is a node of a lab that runs no daemon, on which plugins are executed with configurations
// that are written as text.
type Node struct {
	*lab.Node
	T T

	host *Host // executes the plugins
}

// NewNode makes a node in a world of its own.
func NewNode(t T) *Node {
	t.Helper()
	l := lab.New(t)
	l.OwnRules = true
	return On(t, l.Node("n"))
}

// On makes a Node of one that is there.
func On(t T, n *lab.Node) *Node {
	return &Node{Node: n, T: t, host: &Host{Namespace: n.Namespace, TB: t, Dir: n.Path("/leases")}}
}

// DataDir returns the directory that configurations name as dataDir.
func (n *Node) DataDir() string { return n.host.Dir }

// LeaseFiles returns the names of the lease files of the network "net", with spaces between them.
func (n *Node) LeaseFiles() string { return strings.Join(n.host.Leases("net"), " ") }

// AgeLeases makes the leases of that network older than any ADD takes.
func (n *Node) AgeLeases() {
	n.T.Helper()
	old := time.Now().Add(-10 * time.Minute)
	for _, name := range n.host.Leases("net") {
		if err := os.Chtimes(filepath.Join(n.DataDir(), "net", name), old, old); err != nil {
			n.T.Fatalf("%v", err)
		}
	}
}

// Call is one execution of a plugin.
type Call struct {
	Plugin string
	Verb   string
	ID     string
	Netns  string
	IfName string // empty: eth0
	Args   string // CNI_ARGS
	Conf   string
	Path   string   // CNI_PATH, the plugin in its last directory; empty: the project's
	Env    []string // more of the environment
}

// With returns the call with a verb.
func (c Call) With(verb string) Call { c.Verb = verb; return c }

// Of returns the call for another container, without a namespace.
func (c Call) Of(id string) Call { c.ID, c.Netns = id, ""; return c }

// Named returns the call with an address that is asked for.
func (c Call) Named(addr string) Call { c.Args = "IP=" + addr; return c }

// command returns the execution of a call.
func (n *Node) command(c Call) *exec.Cmd {
	if c.IfName == "" {
		c.IfName = "eth0"
	}
	if c.Path == "" {
		c.Path = lab.Program("cni")
	}
	dirs := filepath.SplitList(c.Path)
	host := *n.host
	host.Plugins = dirs[len(dirs)-1]
	cmd := host.Command(c.Plugin, c.Conf, "COMMAND="+c.Verb, "CONTAINERID="+c.ID, "NETNS="+c.Netns,
		"IFNAME="+c.IfName, "PATH="+c.Path, "ARGS="+c.Args)
	cmd.Env = append(cmd.Env, c.Env...)
	return cmd
}

// Try executes a plugin and returns what it printed; an error is a *Fault. A plugin that fails
// without an error object fails the test.
func (n *Node) Try(c Call) (string, error) {
	n.T.Helper()
	out, err := n.host.Finish(n.command(c))
	if fault, is := err.(*Fault); is && fault.Garbled != "" {
		n.T.Fatalf("%s %s: %v", c.Plugin, c.Verb, err)
	}
	return out, err
}

// Succeed is Try for calls that have to succeed.
func (n *Node) Succeed(c Call) string {
	n.T.Helper()
	out, err := n.Try(c)
	if err != nil {
		n.T.Fatalf("%s %s: %v", c.Plugin, c.Verb, err)
	}
	return out
}

// Fail wants a call to fail with a code and a message that has all of these words.
func (n *Node) Fail(c Call, code int, words ...string) {
	n.T.Helper()
	_, err := n.Try(c)
	WantFault(n.T, err, code, words...)
}

// WantFault wants an error with a code and a message that has all of these words.
func WantFault(t T, err error, code int, words ...string) {
	t.Helper()
	fault, ok := err.(*Fault)
	if !ok || fault.Code != code {
		t.Errorf("got %v, want code %d", err, code)
		return
	}
	for _, w := range words {
		if text := fault.Msg + " " + fault.Details; !strings.Contains(text, w) {
			t.Errorf("%q lacks %q", text, w)
		}
	}
}

// Same compares texts line by line.
func Same(t T, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s: want -, got +\n%s", what, diff)
	}
}

// SameJSON compares what texts say as JSON.
func SameJSON(t T, what, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%s: %v: %s", what, err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("%s: %v: %s", what, err, want)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

// Reference returns the directory of the reference plugins; the test is skipped where there is none.
func Reference(t T) string {
	t.Helper()
	dir, err := lab.ReferencePlugins()
	if err != nil {
		t.Skip(err)
	}
	return dir
}
