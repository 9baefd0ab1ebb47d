package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/test/lab"
)

const ledger = `apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: lab, nodeCount: 2}
network: {clusterCIDRs: ["10.244.0.0/22"]}
nodes:
- name: node-a
  ip: 192.0.2.11
  podCIDRs: ["10.244.0.0/24"]
- name: node-b   # new
  ip: 192.0.2.12
`

func TestAllocate(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	const given = "+ node node-b  192.0.2.12  10.244.1.0/24"
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		says   string
		writes string // in the file afterwards; "": it is as it was
	}{
		{"all", []string{"ledger.yaml"}, 0, given, `  podCIDRs: ["10.244.1.0/24"]`},
		{"all of a path", []string{"./ledger"}, 0, given, `  podCIDRs: ["10.244.1.0/24"]`},
		{"one", []string{"node-b", "ledger.yaml"}, 0, given, `  podCIDRs: ["10.244.1.0/24"]`},
		{"one of a file without an ending", []string{"node-b", "ledger"}, 0, given, `  podCIDRs: ["10.244.1.0/24"]`},
		{"one in place", []string{"node-b", "--topology", "ledger.yaml"}, 0, given, `  podCIDRs: ["10.244.1.0/24"]`},
		{"a new one", []string{"node-c", "--ip", "192.0.2.13", "ledger.yaml"}, 0, "+ node node-c  192.0.2.13  10.244.1.0/24", "nodeCount: 3"},
		{"one that has them", []string{"node-a", "ledger.yaml"}, 0, "nothing to do", ""},
		{"one named like a file", []string{"node-x.json"}, 2, "no such file", ""},
		{"none such", []string{"node-x", "ledger.yaml"}, 1, "--ip ADDRESS", ""},
		{"an address for all", []string{"--ip", "192.0.2.13", "ledger.yaml"}, 2, "say whose", ""},
		{"an address that is none", []string{"node-c", "--ip", "x", "ledger.yaml"}, 2, "--ip x: write", ""},
		{"nothing in place", []string{"node-b", "--root", dir}, 2, "no topology at", ""},
		{"a pipe", []string{"./pipe"}, 2, "./pipe: is a pipe, not a file", ""},
		{"an invalid file", []string{"invalid.yaml"}, 1, "nodes[1].ip", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"ledger.yaml", "ledger"} {
				write(t, name, ledger)
			}
			write(t, "invalid.yaml", strings.Replace(ledger, "2.12", "2.312", 1))
			got := podnetctl("", append([]string{"allocate"}, c.args...)...)
			if got.code != c.code || !strings.Contains(got.stdout+got.stderr, c.says) {
				t.Errorf("exit code %d, want %d, saying %q:\nstdout %s\nstderr %s", got.code, c.code, c.says, got.stdout, got.stderr)
			}
			now := ""
			for _, name := range []string{"ledger.yaml", "ledger"} {
				if text, err := os.ReadFile(name); err != nil || string(text) != ledger {
					now += string(text)
				}
			}
			if c.writes == "" && now != "" || !strings.Contains(now, c.writes) {
				t.Errorf("the file should hold %q; written was\n%s", c.writes, now)
			}
		})
	}
}

// What - writes is the file and nothing else, whatever happens.
func TestAllocateFilter(t *testing.T) {
	done := podnetctl(ledger, "allocate", "-")
	if done.code != 0 || !strings.Contains(done.stderr, "+ node node-b") || !strings.Contains(done.stdout, `["10.244.1.0/24"]`) {
		t.Errorf("%+v", done)
	}
	if again := podnetctl(done.stdout, "allocate", "node-b", "-"); again.stdout != done.stdout || again.code != 0 {
		t.Errorf("the second time: %+v", again)
	}
	for stdin, says := range map[string]string{
		strings.Replace(ledger, "/22", "/24", 1):       "no /24 left behind 10.244.0.0/24",
		strings.Replace(ledger, "2.12", "2.312", 1):    "nodes[1].ip",
		strings.Replace(ledger, "clusterCIDRs", "", 1): "network",
	} {
		if got := podnetctl(stdin, "allocate", "-"); got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, says) {
			t.Errorf("%+v, want %q on standard error", got, says)
		}
	}
}

// The file keeps its mode, its owner and the symbolic link that leads to it.
func TestAllocateKeepsTheFileItself(t *testing.T) {
	dir := t.TempDir()
	real, link := write(t, dir+"/repository/ledger.yaml", ledger), dir+"/link.yaml"
	for _, err := range []error{os.Chmod(real, 0o640), os.Symlink("repository/ledger.yaml", link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const owner = 1000
	owned := os.Chown(real, owner, owner) == nil // in a user namespace there may be no other user
	got := podnetctl("", "allocate", "-o", "json", link)
	var doc document.Allocation
	if err := json.Unmarshal([]byte(got.stdout), &doc); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	text, err := os.ReadFile(real)
	if err != nil || doc.Kind != "Allocation" || doc.Digest != schema.Digest(text) || len(doc.Nodes) != 1 || doc.Nodes[0].Source != link+":9" {
		t.Errorf("%v, %+v", err, doc)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is now %v, %v", info, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is now %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(real); owned && (err != nil || info.Sys().(*syscall.Stat_t).Uid != owner) {
		t.Errorf("the owner is now another: %+v, %v", info.Sys(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(real)); err != nil || len(left) != 1 {
		t.Errorf("beside the file: %v, %v", left, err)
	}
}

// Several processes at a time each hand out their own.
func TestAllocateAtOnce(t *testing.T) {
	if err := lab.RequirePrograms("podnetctl"); err != nil {
		t.Skip(err)
	}
	const n = 12
	path := write(t, t.TempDir()+"/ledger.yaml", strings.Replace(ledger, "/22", "/16", 1))
	var running []*exec.Cmd
	var out bytes.Buffer
	for i := range n {
		cmd := exec.Command(lab.Program("podnetctl"), "allocate", fmt.Sprintf("new-%d", i), "--ip", fmt.Sprintf("192.0.2.%d", 100+i), path)
		cmd.Stderr = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	topology, err := schema.Parse(path, text)
	if err != nil || len(topology.Nodes) != 2+n {
		t.Errorf("%v, %s\n%s", err, out.String(), text)
	}
}
