package runtimes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tree is a root with these files; those of a name that ends in a slash are directories, those with
// "-> " symbolic links.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		dir := filepath.Dir(path)
		if strings.HasSuffix(name, "/") {
			dir = path
		}
		err := os.MkdirAll(dir, 0o755)
		if to, is := strings.CutPrefix(content, "-> "); err == nil && is {
			err = os.Symlink(to, path)
		} else if err == nil && dir != path {
			err = os.WriteFile(path, []byte(strings.ReplaceAll(content, "ROOT", root)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// summary is a host in words, paths as on the host.
func (h Host) summary(root string) string {
	var lines []string
	for _, r := range h.Runtimes {
		line := fmt.Sprintf("%s plugins %s conf %s", r.Name, strings.Join(r.PluginDirs, ":"), r.ConfDir)
		if r.CRI {
			line += fmt.Sprintf(" max %d", r.MaxConfs)
		}
		if r.Network != "" {
			line += " network " + r.Network
		}
		if r.Config != "" {
			line += " by " + r.Config
		}
		lines = append(lines, line)
	}
	for _, f := range h.Faults {
		lines = append(lines, "unknown "+f.Runtime+": "+f.Error())
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), root, "")
}

const (
	containerdToml = "etc/containerd/config.toml"
	containersConf = "etc/containers/containers.conf"
	k3sToml        = "var/lib/rancher/k3s/agent/etc/containerd/config.toml"
	nomadHCL       = "etc/nomad.d/nomad.hcl"
)

// debian is the configuration that Debian's package of containerd brings.
const debian = `version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
`

const byDefault = "containerd plugins /opt/cni/bin conf /etc/cni/net.d max 1"

// containerdCases are configurations of containerd, and what they come to.
func containerdCases() map[string]struct {
	reader map[string]string
	want   string
} {
	const v2, v3 = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\n", "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n"
	type c = struct {
		reader map[string]string
		want   string
	}
	return map[string]c{
		"nothing installed":  {nil, ""},
		"a program alone":    {map[string]string{"usr/bin/containerd": "ELF"}, byDefault},
		"a program of Go's":  {map[string]string{"usr/local/bin/containerd": "ELF"}, byDefault},
		"an empty file":      {map[string]string{containerdToml: ""}, byDefault},
		"Debian's":           {map[string]string{containerdToml: debian}, "containerd plugins /usr/lib/cni conf /etc/cni/net.d max 1 by /etc/containerd/config.toml"},
		"version 1":          {map[string]string{containerdToml: "[plugins.cri.cni]\nbin_dir = \"/v1\"\nmax_conf_num = 2\n"}, "containerd plugins /v1 conf /etc/cni/net.d max 2 by /etc/containerd/config.toml"},
		"version 2":          {map[string]string{containerdToml: v2 + "bin_dir = \"/a\"\nconf_dir = \"/b/\"\nmax_conf_num = 0\n"}, "containerd plugins /a conf /b max 0 by /etc/containerd/config.toml"},
		"version 2, no CNI":  {map[string]string{containerdToml: "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"x\"\n"}, byDefault},
		"version 3":          {map[string]string{containerdToml: v3 + "bin_dir = '/a'\n"}, "containerd plugins /a conf /etc/cni/net.d max 1 by /etc/containerd/config.toml"},
		"several":            {map[string]string{containerdToml: v3 + "bin_dirs = ['/a', '/b']\n"}, "containerd plugins /a:/b conf /etc/cni/net.d max 1 by /etc/containerd/config.toml"},
		"the other version":  {map[string]string{containerdToml: "version = 3\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/a\"\n"}, byDefault},
		"inline and dotted":  {map[string]string{containerdToml: "version = 2\nplugins.\"io.containerd.grpc.v1.cri\".cni = {bin_dir = \"/a\"}\n"}, "containerd plugins /a conf /etc/cni/net.d max 1 by /etc/containerd/config.toml"},
		"CRI off":            {map[string]string{containerdToml: "disabled_plugins = [\"cri\"]\n"}, ""},
		"CRI off, version 3": {map[string]string{containerdToml: "version = 3\ndisabled_plugins = ['io.containerd.cri.v1.runtime']\n"}, ""},
		"an import": {map[string]string{containerdToml: "imports = [\"/etc/containerd/conf.d/*.toml\"]\n" + debian,
			"etc/containerd/conf.d/a.toml": v2 + "bin_dir = \"/a\"\n", "etc/containerd/conf.d/b.toml": v2 + "bin_dir = \"/b\"\n"},
			"containerd plugins /b conf /etc/cni/net.d max 1 by /etc/containerd/conf.d/b.toml"},
		"an import of something else, containerd 1": {map[string]string{containerdToml: "imports = [\"conf.d/gpu.toml\"]\n" + debian,
			"etc/containerd/conf.d/gpu.toml": "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/x\"\n"}, byDefault},
		"an import of something else, containerd 2": {map[string]string{containerdToml: "imports = ['conf.d/gpu.toml']\n" + v3 + "bin_dirs = ['/usr/lib/cni']\n",
			"etc/containerd/conf.d/gpu.toml": "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.gpu]\nruntime_type = 'io.containerd.runc.v2'\n"},
			"containerd plugins /usr/lib/cni conf /etc/cni/net.d max 1 by /etc/containerd/config.toml"},
		"an import of one field, containerd 2": {map[string]string{containerdToml: "imports = ['conf.d/*.toml']\n" + v3 + "bin_dirs = ['/usr/lib/cni']\nconf_dir = '/c'\n",
			"etc/containerd/conf.d/a.toml": v3 + "max_conf_num = 3\n"},
			"containerd plugins /usr/lib/cni conf /c max 3 by /etc/containerd/conf.d/a.toml"},
		"an import of another version": {map[string]string{containerdToml: "imports = ['a.toml']\n" + v3 + "bin_dirs = ['/usr/lib/cni']\n", "etc/containerd/a.toml": v2 + "bin_dir = \"/a\"\n"},
			"unknown containerd: /etc/containerd/a.toml: its version is not that of /etc/containerd/config.toml, and releases of containerd differ about such a file"},
		"imports in a circle": {map[string]string{containerdToml: "imports = [\"a.toml\"]\n" + debian, "etc/containerd/a.toml": "imports = [\"config.toml\"]\nversion = 2\n"},
			"containerd plugins /usr/lib/cni conf /etc/cni/net.d max 1 by /etc/containerd/config.toml"},
		"an import that is missing": {map[string]string{containerdToml: "imports = [\"/none.toml\"]\n" + debian},
			"unknown containerd: /etc/containerd/config.toml: imports /none.toml, which is not there: containerd does not start"},
		"not TOML":      {map[string]string{containerdToml: "version = 2\nbin_dir: secret\n"}, "unknown containerd: /etc/containerd/config.toml:2: this line is not valid TOML"},
		"set twice":     {map[string]string{containerdToml: "version = 2\nversion = 2\n"}, "unknown containerd: /etc/containerd/config.toml:2: this line is not valid TOML"},
		"a wrong type":  {map[string]string{containerdToml: v2 + "bin_dir = 7\n"}, "unknown containerd: /etc/containerd/config.toml: bin_dir is not a text"},
		"a wrong list":  {map[string]string{containerdToml: v3 + "bin_dirs = [7]\n"}, "unknown containerd: /etc/containerd/config.toml: bin_dirs is not a list of texts"},
		"both fields":   {map[string]string{containerdToml: v3 + "bin_dir = '/a'\nbin_dirs = ['/b']\n"}, "unknown containerd: /etc/containerd/config.toml: bin_dir and bin_dirs are both set, and containerd takes one of them"},
		"relative":      {map[string]string{containerdToml: v2 + "bin_dir = \"cni\"\n"}, "unknown containerd: /etc/containerd/config.toml: a directory for CNI is not an absolute path"},
		"a directory":   {map[string]string{containerdToml + "/": ""}, "unknown containerd: /etc/containerd/config.toml: cannot be read: is a directory, not a file"},
		"a dead link":   {map[string]string{containerdToml: "-> nowhere.toml"}, "unknown containerd: /etc/containerd/config.toml: cannot be read: no such file or directory"},
		"a circle":      {map[string]string{containerdToml: "-> config.toml"}, "unknown containerd: /etc/containerd/config.toml: cannot be read: too many levels of symbolic links"},
		"a link":        {map[string]string{containerdToml: "-> real.toml", "etc/containerd/real.toml": debian}, "containerd plugins /usr/lib/cni conf /etc/cni/net.d max 1 by /etc/containerd/config.toml"},
		"a mere folder": {map[string]string{"etc/containerd/certs.d/": ""}, ""},
	}
}

func TestContainerd(t *testing.T) {
	for name, c := range containerdCases() {
		t.Run(name, func(t *testing.T) {
			root := tree(t, c.reader)
			if got := Read(root).summary(root); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// What is read is what containerd itself says that it has read.
func TestContainerdAgrees(t *testing.T) {
	program, err := exec.LookPath("containerd")
	if err != nil {
		t.Skip("containerd is not installed (test/setup.sh runtime)")
	}
	says := regexp.MustCompile(`(?m)^\s*(bin_dir|conf_dir|max_conf_num) = "?([^"\n]*)"?$`)
	for name, c := range containerdCases() {
		t.Run(name, func(t *testing.T) {
			config := c.reader[containerdToml]
			if config == "" || strings.HasPrefix(config, "-> ") || strings.Contains(config, "version = 3") || strings.Contains(config, "disabled") {
				t.Skip("for another containerd, or another case of no file")
			}
			root := tree(t, c.reader)
			for _, file := range []string{containerdToml} { // its imports begin at the host's root
				path := filepath.Join(root, file)
				text := strings.ReplaceAll(config, `imports = ["/`, `imports = ["`+root+"/")
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.Command(program, "-c", filepath.Join(root, containerdToml), "config", "dump").Output()
			if err == nil && strings.Contains(string(out), "version = 3") {
				t.Skip("containerd 2 is installed")
			}
			known := strings.HasPrefix(c.want, "containerd")
			if err != nil || !known {
				if (err == nil) != known && name != "relative" {
					t.Errorf("containerd: %v, this package: %s", err, c.want)
				}
				return
			}
			got := map[string]string{}
			for _, m := range says.FindAllStringSubmatch(string(out), -1) {
				got[m[1]] = filepath.Clean(m[2])
			}
			want := fmt.Sprintf("containerd plugins %s conf %s max %s", got["bin_dir"], got["conf_dir"], got["max_conf_num"])
			if !strings.HasPrefix(c.want, want) {
				t.Errorf("containerd says %s, this package %s", want, c.want)
			}
		})
	}
}

func TestOthers(t *testing.T) {
	const crio = "[crio.network]\nnetwork_dir = \"/etc/cni/crio.d/\"\nplugin_dirs = [\n  \"/usr/libexec/cni\",\n  \"/opt/cni/bin/\",\n]\n"
	for name, c := range map[string]struct {
		reader map[string]string
		want   string
	}{
		"CRI-O, the program":     {map[string]string{"usr/bin/crio": "ELF"}, "CRI-O plugins /opt/cni/bin conf /etc/cni/net.d max 1"},
		"CRI-O, its file":        {map[string]string{"etc/crio/crio.conf": crio}, "CRI-O plugins /usr/libexec/cni:/opt/cni/bin conf /etc/cni/crio.d max 1 by /etc/crio/crio.conf"},
		"CRI-O, a drop-in alone": {map[string]string{"etc/crio/crio.conf.d/10-crio.conf": "[crio.runtime]\n"}, "CRI-O plugins /opt/cni/bin conf /etc/cni/net.d max 1"},
		"CRI-O, drop-ins": {map[string]string{"etc/crio/crio.conf": crio, "etc/crio/crio.conf.d/01-a": "[crio.network]\nplugin_dirs = [\"/a\"]\n",
			"etc/crio/crio.conf.d/02-b.conf": "[crio.network]\ncni_default_network = \"blue\"\n"},
			"CRI-O plugins /a conf /etc/cni/crio.d max 1 network blue by /etc/crio/crio.conf.d/02-b.conf"},
		"CRI-O, drop-ins behind a link": {map[string]string{"etc/crio/crio.conf.d": "-> real", "etc/crio/real/a": "[crio.network]\nplugin_dirs = [\"/a\"]\n"},
			"CRI-O plugins /a conf /etc/cni/net.d max 1 by /etc/crio/real/a"},
		"CRI-O, the old field": {map[string]string{"etc/crio/crio.conf": "[crio.network]\nplugin_dir = \"/old\"\n"}, "CRI-O plugins /opt/cni/bin:/old conf /etc/cni/net.d max 1 by /etc/crio/crio.conf"},
		"CRI-O, broken drop-in": {map[string]string{"etc/crio/crio.conf": crio, "etc/crio/crio.conf.d/x": "secret\n"},
			"unknown CRI-O: /etc/crio/crio.conf.d/x:1: this line is not valid TOML"},
		"CRI-O, no directory":                {map[string]string{"etc/crio/crio.conf": "[crio.network]\nplugin_dirs = []\n"}, "unknown CRI-O: /etc/crio/crio.conf: it names no directory for CNI plugins"},
		"nerdctl, the program":               {map[string]string{"usr/local/bin/nerdctl": "ELF"}, "nerdctl plugins /opt/cni/bin conf /etc/cni/net.d"},
		"nerdctl, where Debian has plugins":  {map[string]string{"usr/local/bin/nerdctl": "ELF", "usr/lib/cni/": ""}, "nerdctl plugins /usr/lib/cni conf /etc/cni/net.d"},
		"nerdctl, its file":                  {map[string]string{"etc/nerdctl/nerdctl.toml": "cni_path = \"/n\"\ncni_netconfpath = \"/c\"\n"}, "nerdctl plugins /n conf /c by /etc/nerdctl/nerdctl.toml"},
		"nerdctl, another file":              {map[string]string{"etc/nerdctl/nerdctl.toml": "debug = true\n"}, "nerdctl plugins /opt/cni/bin conf /etc/cni/net.d"},
		"podman on netavark":                 {map[string]string{"usr/bin/podman": "ELF", containersConf: "[network]\ncni_plugin_dirs = [\"/p\"]\n"}, ""},
		"podman told of CNI":                 {map[string]string{containersConf: "[network]\nnetwork_backend = \"cni\"\ncni_plugin_dirs = [\"/p\"]\n"}, "podman plugins /p conf /etc/cni/net.d by /etc/containers/containers.conf"},
		"podman that remembers CNI":          {map[string]string{"usr/share/containers/containers.conf": "[network]\n", "var/lib/containers/storage/defaultNetworkBackend": "cni"}, "podman plugins /usr/local/libexec/cni:/usr/libexec/cni:/usr/local/lib/cni:/usr/lib/cni:/opt/cni/bin conf /etc/cni/net.d"},
		"podman, a drop-in is the last word": {map[string]string{containersConf: "[network]\nnetwork_backend = \"cni\"\n", containersConf + ".d/z.conf": "[network]\nnetwork_backend = \"netavark\"\n"}, ""},
		"podman, a drop-in of another name":  {map[string]string{containersConf: "[network]\nnetwork_backend = \"cni\"\nnetwork_config_dir = \"/c\"\ncni_plugin_dirs = [\"/p\"]\n", containersConf + ".d/z.off": "not TOML"}, "podman plugins /p conf /c by /etc/containers/containers.conf"},
		"Nomad, a client by default":         {map[string]string{nomadHCL: "data_dir = \"/opt/nomad\"\nclient {\n  enabled = true\n}\n"}, "Nomad plugins /opt/cni/bin conf /opt/cni/config"},
		"Nomad, a client told":               {map[string]string{nomadHCL: "client {\n  enabled = true\n  options { cni_path = \"/no\" }\n  # cni_path = \"/no\"\n  cni_path = \"/a:/b\"\n  cni_config_dir=\"/c\"\n}\n"}, "Nomad plugins /a:/b conf /c by /etc/nomad.d/nomad.hcl"},
		"Nomad, in one line":                 {map[string]string{nomadHCL: "server { enabled = false } client { enabled = true cni_path = \"/a\" }"}, "Nomad plugins /a conf /opt/cni/config by /etc/nomad.d/nomad.hcl"},
		"Nomad, in JSON":                     {map[string]string{"etc/nomad.d/a.json": "{\"client\": {\"enabled\": true, \"cni_config_dir\": \"/etc/cni/net.d\"}, \"cni_path\": \"/no\"}"}, "Nomad plugins /opt/cni/bin conf /etc/cni/net.d by /etc/nomad.d/a.json"},
		"Nomad, the last file's word":        {map[string]string{nomadHCL: "client { enabled = true\n cni_path = \"/a\" }", "etc/nomad.d/z.hcl": "client { cni_path = \"/z\" }", "etc/nomad.d/zz.txt": "client { cni_path = \"/no\" }"}, "Nomad plugins /z conf /opt/cni/config by /etc/nomad.d/z.hcl"},
		"Nomad, a server":                    {map[string]string{nomadHCL: "server { enabled = true }\nclient { enabled = false }", "usr/bin/nomad": "ELF"}, ""},
		"Nomad, a value of another sort":     {map[string]string{nomadHCL: "client { enabled = true\n cni_path = 7 }"}, "unknown Nomad: /etc/nomad.d/nomad.hcl: cni_path is not a text"},
		"k3s without flannel": {map[string]string{k3sToml: "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n  bin_dirs = ['/var/lib/rancher/k3s/data/cni']\n  conf_dir = '/var/lib/rancher/k3s/agent/etc/cni/net.d'\n"},
			"k3s plugins /var/lib/rancher/k3s/data/cni conf /var/lib/rancher/k3s/agent/etc/cni/net.d max 1 by /" + k3sToml},
		"k3s with its own flannel": {map[string]string{k3sToml: "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.cni]\n  bin_dir = '/b'\n  conf_dir = '/c'\n", "c/10-flannel.conflist": "{}"}, ""},
		"RKE2": {map[string]string{"var/lib/rancher/rke2/agent/etc/containerd/config.toml": "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.cni]\n  bin_dir = '/opt/cni/bin'\n  conf_dir = '/etc/cni/net.d'\n"},
			"RKE2 plugins /opt/cni/bin conf /etc/cni/net.d max 1 by /var/lib/rancher/rke2/agent/etc/containerd/config.toml"},
		"several runtimes": {map[string]string{containerdToml: debian, "usr/bin/nerdctl": "ELF", "etc/crio/crio.conf": "[crio]\n"},
			"containerd plugins /usr/lib/cni conf /etc/cni/net.d max 1 by /etc/containerd/config.toml\nCRI-O plugins /opt/cni/bin conf /etc/cni/net.d max 1\nnerdctl plugins /opt/cni/bin conf /etc/cni/net.d"},
		"one broken, the others known": {map[string]string{containerdToml: "x", "usr/bin/crio": "ELF"}, "CRI-O plugins /opt/cni/bin conf /etc/cni/net.d max 1\nunknown containerd: /etc/containerd/config.toml:1: this line is not valid TOML"},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t, c.reader)
			if got := Read(root).summary(root); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// Every runtime finds what is put into the targets, and no more directories than that are needed.
func TestTargets(t *testing.T) {
	for name, c := range map[string]struct {
		reader map[string]string
		want   string
	}{
		"no runtime":                          {nil, "/opt/cni/bin"},
		"Debian's containerd":                 {map[string]string{containerdToml: debian}, "/usr/lib/cni"},
		"and CRI-O":                           {map[string]string{containerdToml: debian, "usr/bin/crio": "ELF"}, "/usr/lib/cni /opt/cni/bin"},
		"and podman, which looks there too":   {map[string]string{containerdToml: debian, containersConf: "[network]\nnetwork_backend = \"cni\"\n"}, "/usr/lib/cni"},
		"podman alone":                        {map[string]string{containersConf: "[network]\nnetwork_backend = \"cni\"\n"}, "/opt/cni/bin"},
		"the first directory that is there":   {map[string]string{"etc/crio/crio.conf": "[crio.network]\nplugin_dirs = [\"/a\", \"/b\"]\n", "b/": ""}, "/b"},
		"the first, if none is there":         {map[string]string{"etc/crio/crio.conf": "[crio.network]\nplugin_dirs = [\"/a\", \"/b\"]\n"}, "/a"},
		"two names of one directory":          {map[string]string{containerdToml: debian, "usr/bin/crio": "ELF", "usr/lib/cni/": "", "opt/cni/bin": "-> ../../usr/lib/cni"}, "/usr/lib/cni"},
		"nothing of one that cannot be known": {map[string]string{containerdToml: "x", "usr/bin/crio": "ELF"}, "/opt/cni/bin"},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t, c.reader)
			got := strings.ReplaceAll(strings.Join(Read(root).Targets(root), " "), root, "")
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
