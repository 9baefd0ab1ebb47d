package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// readOnly are the verbs that a rule of sudo may allow to whoever is not root, as they change
// nothing.
func readOnly() [][]string {
	return [][]string{
		{"status"}, {"diff"}, {"doctor"}, {"pods"}, {"render"}, {"validate"}, {"explain", "--all"}, {"explain", "10.244.1.1"}, {"gc", "--dry-run"},
	}
}

// executed matches the path of a program that strace has seen being executed.
var executed = regexp.MustCompile(`execve(?:at)?\(.*?"([^"]+)"`)

// A verb that changes nothing executes no file that its caller has chosen: no plugin out of
// --cni-bin-dir, and under sudo no program out of a PATH that sudo has kept.
func TestReadOnlyVerbsExecuteNothing(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is missing: apt-get install strace")
	}
	h := newHost(t)
	h.Write(valid)
	h.runWith("", 0, "apply")
	chosen, path := t.TempDir(), t.TempDir()
	for _, name := range plugins() {
		copyProgram(t, lab.Program("cni/"+name), filepath.Join(chosen, name))
	}
	for _, name := range []string{"iptables", "ip6tables", "iptables-save", "ip6tables-save", "iptables-legacy-save", "nft", "modprobe", "ip", "containerd"} {
		if err := os.Chmod(write(t, filepath.Join(path, name), "#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, verb := range readOnly() {
		log := filepath.Join(t.TempDir(), "strace")
		args := append([]string{"env", "SUDO_UID=1000", "PATH=" + path + ":" + os.Getenv("PATH"), "strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", log,
			lab.Program("podnetctl"), "--root", h.Root, "--node", h.Host, "--cni-bin-dir", chosen}, verb...)
		h.Execute(args...)
		calls, err := os.ReadFile(log)
		if err != nil || !strings.Contains(string(calls), "podnetctl") {
			t.Fatalf("%v: strace has seen nothing: %v", verb, err)
		}
		for _, call := range executed.FindAllStringSubmatch(string(calls), -1) {
			if strings.HasPrefix(call[1], chosen) || strings.HasPrefix(call[1], path) {
				t.Errorf("%v executes %s", verb, call[1])
			}
		}
	}
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// No verb shows a line of a file that is no topology, wherever it is named.
func TestForeignFilesAreNotShown(t *testing.T) {
	const secret = "hunter2"
	h := newHost(t)
	h.Write(valid)
	h.runWith("", 0, "apply")
	for name, text := range map[string]string{
		"passwords": "root:$6$hunter2:19000:0:99999:7:::\nnobody:*:1::::::\n", "settings": "hunter2 PASSWORD hunter2\n",
		"another object": "apiVersion: v1\nkind: Secret\nhunter2: {token: hunter2}\n", "JSON": `{"kind": "hunter2", "token": "hunter2` + "\n",
	} {
		file := write(t, filepath.Join(t.TempDir(), "file"), text)
		root := t.TempDir()
		for _, place := range []string{"etc/default/podnetd", "etc/podnet/topology.yaml", "var/lib/podnet/last-good.yaml", "run/podnet/status.json",
			"etc/cni/net.d/10-podnet.conflist", "etc/containerd/config.toml", "etc/crio/crio.conf", "etc/nerdctl/nerdctl.toml", "etc/containers/containers.conf"} {
			link(t, file, filepath.Join(root, place))
		}
		var all [][]string
		for _, verb := range readOnly() {
			all = append(all, append(verb, "-f", file), append(verb, "-f", file, "-o", "json"), append(verb, "--root", root),
				append(verb, "--root", root, "--topology", h.Path(lab.TopologyPath)))
		}
		all = append(all, []string{"validate", file}, []string{"validate", "--against", file, h.Path(lab.TopologyPath)}, []string{"diff", file}, []string{"render", file},
			[]string{"allocate", file}, []string{"fleet", "-f", file, t.TempDir()}, []string{"fleet", file}, []string{"apply", file})
		for _, args := range all {
			out := h.Execute(append([]string{lab.Program("podnetctl"), "--root", h.Root, "--node", h.Host}, args...)...)
			if strings.Contains(out.Stdout+out.Stderr, secret) {
				t.Errorf("%s: %v shows\n%s%s", name, args, out.Stdout, out.Stderr)
			}
		}
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.Symlink(to, path)
	}
	if err != nil {
		t.Fatal(err)
	}
}
