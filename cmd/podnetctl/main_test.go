package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/cmd/cni/collect"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/lab"
)

// Verbs that look at the kernel or change it run in a namespace of the tests' own.
func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// output is what one invocation said.
type output struct {
	stdout, stderr string
	code           int
}

// podnetctl runs the program in this process, with an empty environment.
func podnetctl(stdin string, args ...string) output {
	var out, err bytes.Buffer
	code := run(args, process{in: strings.NewReader(stdin), out: &out, err: &err, env: func(string) (string, bool) { return "", false },
		detach: func([]string) error { return nil }})
	return output{out.String(), err.String(), code}
}

const valid = `apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata:
  name: lab
nodes:
- name: node-a
  ip: 192.0.2.11
  podCIDRs: ["10.244.0.0/24", "fd00:10:244::/64"]
- name: node-b
  ip: 192.0.2.12
  podCIDRs: ["10.244.1.0/24", "fd00:10:244:1::/64"]
`

var invalid = strings.Replace(valid, "192.0.2.12", "192.0.2.300", 1)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// kind is what a JSON document calls itself.
func kind(t *testing.T, document string) string {
	t.Helper()
	var head struct{ APIVersion, Kind string }
	if err := json.Unmarshal([]byte(document), &head); err != nil || head.APIVersion != "podnet.dev/v1alpha1" {
		t.Errorf("%v in %q", err, document)
	}
	return head.Kind
}

// Results go to standard output and diagnostics to standard error, and the exit code is the answer.
func TestOfflineVerbs(t *testing.T) {
	dir := t.TempDir()
	good, bad := write(t, dir+"/good.yaml", valid), write(t, dir+"/bad.yaml", invalid)
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		code  int
		says  string // on standard output with 0 and 1, on standard error with 2
	}{
		{"valid", []string{"validate", good}, "", 0, "0 errors, 0 warnings, 2 nodes"},
		{"valid from standard input", []string{"validate", "-"}, valid, 0, "-: 0 errors"},
		{"valid for a node", []string{"validate", "--node", "node-b", good}, "", 0, "0 errors"},
		{"invalid", []string{"validate", bad}, "", 1, "bad.yaml:10:7: nodes[1].ip: "},
		{"no such node", []string{"validate", "--node", "node-x", good}, "", 1, "node-x"},
		{"no such file", []string{"validate", dir + "/none.yaml"}, "", 2, "none.yaml: no such file or directory (name"},
		{"a directory", []string{"validate", dir}, "", 2, "is a directory (name the file in it)"},
		{"nothing in place", []string{"validate", "--root", dir}, "", 2, "put it there"},
		{"two files", []string{"validate", good, bad}, "", 2, "write podnetctl validate [FILE|-]"},
		{"no such flag", []string{"validate", "--bogus"}, "", 2, "--bogus (podnetctl validate --help"},
		{"no such duration", []string{"status", "--wait", "soon"}, "", 2, "write a duration such as 30s"},
		{"a negative duration", []string{"status", "--wait", "-1s"}, "", 2, `--wait "-1s": at least 0s`},
		{"a trial of no time", []string{"apply", "--confirm", "0", good}, "", 2, `--confirm "0": at least 1s`},
		{"no such verb", []string{"bogus"}, "", 2, "bogus"},
		{"a verb behind --", []string{"--", "validate", bad}, "", 2, `"validate" comes behind --: write podnetctl validate`},
		{"flags without a verb", []string{"--node", "x"}, "", 2, "no command: write podnetctl COMMAND"},
		{"an empty verb", []string{""}, "", 2, "no command"},
		{"help with flags", []string{"--node", "x", "--help"}, "", 0, "Exit codes"},
		{"no such output", []string{"version", "-o", "xml"}, "", 2, "text or json"},
		{"no such colour", []string{"version", "--color", "blue"}, "", 2, "never"},
		{"rendered", []string{"render", "--node", "node-b", good}, "", 0, `"type": "bridge"`},
		{"rendered without its node", []string{"render", "--node", "node-x", good}, "", 1, "node-x"},
		{"rendered though invalid", []string{"render", "--node", "node-b", bad}, "", 1, "192.0.2.300"},
		{"schema", []string{"schema"}, "", 0, `"$schema"`},
		{"version", []string{"version"}, "", 0, "podnetctl devel"},
		{"completion", []string{"completion", "bash"}, "", 0, "podnetctl"},
		{"completion for no such shell", []string{"completion", "bogus"}, "", 2, "bogus"},
		{"help", nil, "", 0, "Exit codes"},
		{"help on a verb", []string{"help", "validate"}, "", 0, "--against"},
		{"help on no verb", []string{"help", "bogus"}, "", 2, "bogus"},
		{"a digest that a failed command printed", []string{"status", "--digest", ""}, "", 2, "64 hex digits"},
		{"a digest that is expected and none", []string{"fleet", "--expect-digest", "", dir}, "", 2, "64 hex digits"},
		{"a digest that is none", []string{"status", "--digest", "4c1d"}, "", 2, "64 hex digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := podnetctl(c.stdin, c.args...)
			said, silent := got.stdout, got.stderr
			if c.code == 2 {
				said, silent = got.stderr, got.stdout
			}
			if got.code != c.code || !strings.Contains(said, c.says) || silent != "" {
				t.Errorf("exit code %d, want %d, saying %q:\nstdout %s\nstderr %s", got.code, c.code, c.says, got.stdout, got.stderr)
			}
		})
	}
}

// A file is called what it is called on the command line, by every flag that names one.
func TestNamesAsGiven(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "bad.yaml", invalid)
	for _, args := range [][]string{{"validate", "bad.yaml"}, {"validate", "-f", "bad.yaml"}, {"render", "-f", "bad.yaml"},
		{"allocate", "-f", "bad.yaml"}, {"fleet", "-f", "bad.yaml", "bad.yaml"}} {
		if got := podnetctl("", args...); got.code != 1 || !strings.HasPrefix(got.stdout, "bad.yaml:10:7: ") {
			t.Errorf("%v: exit code %d: %s%s", args, got.code, got.stdout, got.stderr)
		}
	}
}

func TestValidationDocument(t *testing.T) {
	dir := t.TempDir()
	got := podnetctl("", "validate", "-o", "json", write(t, dir+"/bad.yaml", invalid))
	var v struct {
		Kind, File string
		Valid      bool
		Errors     []struct {
			Line, Column           int
			Field, Message, Remedy string
		}
		Warnings []any
		Nodes    int
	}
	if err := json.Unmarshal([]byte(got.stdout), &v); err != nil {
		t.Fatal(err)
	}
	if v.Kind != "Validation" || v.Valid || v.Nodes != 2 || v.Warnings == nil || v.File != dir+"/bad.yaml" || got.code != 1 {
		t.Errorf("exit code %d, %+v", got.code, v)
	}
	if len(v.Errors) != 1 || v.Errors[0].Line != 10 || v.Errors[0].Column != 7 || v.Errors[0].Field != "nodes[1].ip" || v.Errors[0].Message == "" {
		t.Errorf("errors %+v", v.Errors)
	}
	if got := podnetctl(valid, "validate", "--node", "node-x", "-o", "json", "-"); got.code != 1 ||
		!strings.Contains(got.stdout, `"remedy": "add one to nodes, or correct --node"`) {
		t.Errorf("a node that is not listed: exit code %d\n%s", got.code, got.stdout)
	}
	var wrong strings.Builder
	for range 10500 {
		wrong.WriteString("- {}\n")
	}
	got = podnetctl(valid[:strings.Index(valid, "- name")]+wrong.String(), "validate", "-o", "json", "-")
	var all document.Validation
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil || len(all.Errors)+all.Omitted != 2*10500 || all.Omitted == 0 {
		t.Errorf("a file that is wrong throughout: %v, %d errors and %d more", err, len(all.Errors), all.Omitted)
	}
	overlapping := strings.Replace(valid, "10.244.1.0/24", "10.244.0.0/23", 1)
	if got := podnetctl(overlapping, "validate", "-o", "json", "-"); got.code != 1 || !strings.Contains(got.stdout, `"remedy": ""`) {
		t.Errorf("a message that is remedy enough: exit code %d\n%s", got.code, got.stdout)
	}
	if got := podnetctl(valid, "validate", "-o", "json", "-"); got.code != 0 || !strings.Contains(got.stdout, `"errors": []`) {
		t.Errorf("a valid file: exit code %d\n%s", got.code, got.stdout)
	}
}

// What cannot be said is an error, from the verbs too that do more than say something.
func TestUnwritten(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{
		"gc": func(w io.Writer) error { return writeGarbage(w, "podnet", state.DefaultPaths(""), collect.Garbage{}) },
		"install": func(w io.Writer) error {
			return (&cli{process: process{out: w}}).writeInstalled(document.Installed{Plugins: []document.InstalledPlugin{{Name: "bridge", Result: pluginForeign}}})
		},
	} {
		r, w := io.Pipe()
		r.Close()
		if err := write(w); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A foreign plugin stays unless it is told to go, and one of podnet's is replaced.
func TestInstallPlugin(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable() // built from podnet's source
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	from, to := write(t, dir+"/from/bridge", "new"), dir+"/to/bridge"
	for _, c := range []struct {
		name, have string
		force      bool
		want       string
	}{
		{"none yet", "", false, pluginInstalled},
		{"the same", "new", false, pluginUnchanged},
		{"a foreign one", "#!/bin/sh\n", false, pluginForeign},
		{"a foreign one, told to", "#!/bin/sh\n", true, pluginInstalled},
		{"an old one of podnet's", string(program), false, pluginInstalled},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.have != "" {
				write(t, to, c.have)
			}
			got, err := installPlugin(from, to, c.force)
			if err != nil || got != c.want {
				t.Fatalf("%q, %v; want %q", got, err, c.want)
			}
			have, err := os.ReadFile(to)
			if want := map[bool]string{true: c.have, false: "new"}[got == pluginForeign]; err != nil || string(have) != want {
				t.Errorf("the file holds %.20q, %v; want %.20q", have, err, want)
			}
			if info, err := os.Stat(to); got == pluginInstalled && (err != nil || info.Mode().Perm() != 0o755) {
				t.Errorf("mode %v, %v; want 0755", info.Mode(), err)
			}
		})
	}
	if err := os.Chmod(to, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := installPlugin(from, to, false)
	if info, bad := os.Stat(to); got != pluginInstalled || err != nil || bad != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("one that nobody may execute: %q, %v, %v", got, err, info.Mode())
	}
	if got, err := installPlugin(dir+"/from/none", to, false); err != nil || got != "" {
		t.Errorf("one that podnet does not bring: %q, %v", got, err)
	}
}
