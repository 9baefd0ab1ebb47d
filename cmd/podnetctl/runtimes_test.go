package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/doctor"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/test/lab"
)

// debianConfig is what Debian's package of containerd brings.
const debianConfig = `version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
`

const containerdToml, crioConf = "/etc/containerd/config.toml", "/etc/crio/crio.conf"

// cniConfig is the configuration of containerd 2 with these lines about CNI.
func cniConfig(lines ...string) string {
	return "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n" + strings.Join(lines, "\n") + "\n"
}

// What keeps the host's runtimes from podnet is found and said by status, and its remedy, pasted,
// ends it.
func TestDoctorKnowsTheRuntimes(t *testing.T) {
	file := func(path, content string) func(host) { return func(h host) { h.WriteFile(path, content) } }
	and := func(all ...func(host)) func(host) {
		return func(h host) {
			for _, do := range all {
				do(h)
			}
		}
	}
	for _, c := range []struct {
		name, id string
		severity document.Severity
		trouble  func(host)
		says     string // in status
	}{
		{"Debian's containerd", doctor.PluginMissing, document.SeverityError, file(containerdToml, debianConfig), "plugins missing: bridge, host-local, loopback, portmap (podnetctl install); looked in ROOT/usr/lib/cni"},
		{"containerd that looks in two places", doctor.PluginMissing, document.SeverityError, file(containerdToml, cniConfig("bin_dirs = ['/a', '/b c']")), "looked in ROOT/a, ROOT/b c"},
		{"CRI-O", doctor.PluginMissing, document.SeverityError, file(crioConf, "[crio.network]\nplugin_dirs = [\"/usr/libexec/cni\"]\n"), "looked in ROOT/usr/libexec/cni"},
		{"nerdctl alone", doctor.PluginMissing, document.SeverityError, file("/etc/nerdctl/nerdctl.toml", "cni_path = \"/n\"\n"), "looked in ROOT/n"},
		{"nerdctl beside containerd", doctor.PluginMissing, document.SeverityWarning, and(file(containerdToml, ""), file("/etc/nerdctl/nerdctl.toml", "cni_path = \"/n\"\n")), "looked in ROOT/n"},
		{"podman with CNI", doctor.PluginMissing, document.SeverityError, file("/etc/containers/containers.conf", "[network]\nnetwork_backend = \"cni\"\ncni_plugin_dirs = [\"/p\"]\n"), "looked in ROOT/p"},
		{"another conf_dir", "conflist-elsewhere", document.SeverityError, file(containerdToml, cniConfig("conf_dir = '/etc/my cni'")), "ROOT/etc/my cni (containerd, by ROOT/etc/containerd/config.toml)"},
		{"a conf_dir that podnetd's unit may not write", "conflist-elsewhere", document.SeverityError, file(containerdToml, cniConfig("conf_dir = '/opt/cni/config'")), "ROOT/opt/cni/config"},
		{"two runtimes, two directories", "conflist-elsewhere", document.SeverityError, and(file(containerdToml, ""), file(crioConf, "[crio.network]\nnetwork_dir = \"/etc/crio/net.d\"\n")), "ROOT/etc/crio/net.d (CRI-O"},
		{"Nomad's own directory", "conflist-elsewhere", document.SeverityError, file("/etc/nomad.d/nomad.hcl", "client {\n  enabled = true\n}\n"), "ROOT/opt/cni/config (Nomad, by its own defaults)"},
		{"CRI-O with a network of its own", "conflist-network", document.SeverityError, file(crioConf, "[crio.network]\ncni_default_network = \"crio\"\n"), `"crio" only`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := sound(t)
			c.trouble(h)
			code := map[document.Severity]int{document.SeverityError: 1, document.SeverityWarning: 0}[c.severity]
			found := h.examined(code)
			if len(found) != 1 || found[0].ID != c.id || found[0].Severity != c.severity {
				t.Fatalf("found %+v", found)
			}
			if got := h.run(1, "status"); !strings.Contains(flat(got.stdout), strings.ReplaceAll(c.says, "ROOT", h.Root)) {
				t.Errorf("status does not say %q:\n%s", c.says, got.stdout)
			}
			t.Logf("%+v", found[0])
			h.paste(found[0].Remedy)
			if found := h.examined(0); len(found) > 0 {
				t.Errorf("after the remedy: %+v", found)
			}
			if got := h.run(1, "status"); strings.Contains(got.stdout, "Runtime ") || strings.Contains(got.stdout, "missing") {
				t.Errorf("after the remedy status says\n%s", got.stdout)
			}
		})
	}
}

// flat is a screen without its line breaks.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// A runtime's file that cannot be read is said in one line, by every verb that goes by it; nothing
// is guessed.
func TestRuntimesThatCannotBeKnown(t *testing.T) {
	for name, c := range map[string]struct{ content, says string }{
		"not TOML":  {"bin_dir: hunter2\n", ":1: this line is not valid TOML"},
		"an import": {"imports = [\"/none.toml\"]\n", "imports ROOT/none.toml, which is not there"},
		"a field":   {cniConfig("bin_dirs = 7"), "bin_dirs is not a list of texts"},
	} {
		t.Run(name, func(t *testing.T) {
			h := sound(t)
			h.WriteFile(containerdToml, c.content)
			says := strings.ReplaceAll(c.says, "ROOT", h.Root)
			found := h.examined(1)
			if len(found) != 1 || found[0].ID != "runtime-config" || !strings.Contains(found[0].Object+": "+found[0].Message, says) {
				t.Errorf("found %+v", found)
			}
			h.paste(found[0].Remedy)
			if got := h.run(1, "status"); !strings.Contains(flat(got.stdout), "looks for plugins is not known") || strings.Contains(got.stdout, "hunter2") {
				t.Errorf("status says\n%s", got.stdout)
			}
			got := h.Execute(lab.Program("podnetctl"), "--root", h.Root, "install")
			if got.Code != 2 || !strings.Contains(got.Stderr, says) || !strings.Contains(got.Stderr, "--cni-bin-dir") {
				t.Errorf("install: exit code %d\n%s%s", got.Code, got.Stdout, got.Stderr)
			}
			if got := h.Execute(lab.Program("podnetctl"), "--root", h.Root, "install", "--cni-bin-dir", h.Path("/said")); got.Code != 0 {
				t.Errorf("install to a directory that is named: exit code %d\n%s%s", got.Code, got.Stdout, got.Stderr)
			}
		})
	}
}

// install puts the plugins where every runtime looks, or says what speaks against it.
func TestInstallGoesByTheRuntimes(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(h host)
		args    []string
		code    int
		to      string // in order
		says    string
	}{
		"no runtime":          {func(host) {}, nil, 0, "/opt/cni/bin", ""},
		"Debian's containerd": {func(h host) { h.WriteFile(containerdToml, debianConfig) }, nil, 0, "/usr/lib/cni", ""},
		"and CRI-O": {func(h host) { h.WriteFile(containerdToml, debianConfig); h.WriteFile(crioConf, "[crio]\n") }, nil, 0,
			"/usr/lib/cni /opt/cni/bin", ""},
		"a directory that is named, and not looked in": {func(h host) { h.WriteFile(containerdToml, debianConfig) }, []string{"--cni-bin-dir", "ROOT/x"}, 0, "/x",
			"podnetctl install --cni-bin-dir ROOT/usr/lib/cni"},
		"a link to a directory": {func(h host) {
			h.WriteFile(containerdToml, debianConfig)
			h.WriteFile("/srv/cni/README", "")
			link(h.t, h.Path("/srv/cni"), h.Path("/usr/lib/cni"))
		}, nil, 0, "/usr/lib/cni", ""},
		"a link to nowhere": {func(h host) {
			h.WriteFile(containerdToml, debianConfig)
			link(h.t, "/none", h.Path("/usr/lib/cni"))
		}, nil, 2, "", "ROOT/usr/lib/cni is a symbolic link to /none, which is not there"},
		"a file": {func(h host) { h.WriteFile(containerdToml, debianConfig); h.WriteFile("/usr/lib/cni", "") }, nil, 2, "",
			"ROOT/usr/lib/cni is not a directory"},
		"foreign plugins": {func(h host) {
			h.WriteFile(containerdToml, debianConfig)
			h.WriteFile("/usr/lib/cni/bridge", "#!/bin/sh\n")
		}, nil, 1, "/usr/lib/cni", "Left"},
		"another conf_dir": {func(h host) { h.WriteFile(containerdToml, cniConfig("conf_dir = '/etc/cni'")) }, nil, 0, "/opt/cni/bin",
			"ROOT/etc/cni (containerd, by ROOT" + containerdToml + ")"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			c.prepare(h)
			root := func(s string) string { return strings.ReplaceAll(s, "ROOT", h.Root) }
			args := []string{lab.Program("podnetctl"), "--root", h.Root, "install"}
			for _, a := range c.args {
				args = append(args, root(a))
			}
			said := h.Execute(args...)
			if said.Code != c.code || !strings.Contains(flat(said.Stdout+said.Stderr), flat(root(c.says))) {
				t.Errorf("exit code %d, want %d and %q\n%s%s", said.Code, c.code, root(c.says), said.Stdout, said.Stderr)
			}
			if c.code == 2 {
				return
			}
			var report document.Installed
			if err := json.Unmarshal([]byte(h.Execute(append(args, "-o", "json")...).Stdout), &report); err != nil {
				t.Fatal(err)
			}
			to := strings.ReplaceAll(strings.Join(append([]string{report.To}, report.Also...), " "), h.Root, "")
			if to != c.to || len(report.Plugins) != 4*len(strings.Fields(c.to)) {
				t.Errorf("to %s, want %s: %+v", to, c.to, report.Plugins)
			}
			for _, p := range report.Plugins {
				if _, err := os.Stat(filepath.Join(p.Dir, p.Name)); err != nil || p.Result == pluginInstalled {
					t.Errorf("%+v: %v", p, err)
				}
			}
		})
	}
}
