// Package pkg tests the packages that make package has made: what is in them, and their lives on a
// copy of this machine.
package pkg

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// made is the one package of a suffix in bin/package, or in another directory of that name.
func made(t *testing.T, source, suffix string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(source, "bin/package/*."+suffix))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d packages *.%s in %s/bin/package, want one (make package)", len(found), suffix, source)
	}
	return found[0]
}

func requires(t *testing.T, program, remedy string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (apt-get install %s)", program, remedy)
	}
}

// output is what a command prints; the test ends if it fails.
func output(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // rpm keeps a database there
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// files are the paths in a deb (dpkg-deb -c) or rpm (rpm -qlvp), each with its mode as ls shows it.
func files(t *testing.T, path string) map[string]string {
	t.Helper()
	command := []string{"dpkg-deb", "-c", path}
	if strings.HasSuffix(path, ".rpm") {
		requires(t, "rpm", "rpm")
		command = []string{"rpm", "-qlvp", path}
	}
	modes := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(output(t, command...)), "\n") {
		f := strings.Fields(line)
		name := strings.TrimPrefix(strings.TrimSuffix(f[len(f)-1], "/"), ".")
		modes[name] = f[0]
		if owner := f[1] + f[2] + f[3]; !strings.Contains(owner, "root/root") && !strings.Contains(owner, "rootroot") {
			t.Errorf("%s is not root's: %s", name, line)
		}
	}
	return modes
}

// Where each thing is. Directories may differ: the packagers own those of others differently.
func TestContents(t *testing.T) {
	const file, program = "-rw-r--r--", "-rwxr-xr-x"
	want := map[string]string{
		"/usr/bin/podnetd": program, "/usr/bin/podnetctl": program,
		"/usr/lib/podnet/cni/bridge": program, "/usr/lib/podnet/cni/host-local": program,
		"/usr/lib/podnet/cni/loopback": program, "/usr/lib/podnet/cni/portmap": program,
		"/usr/lib/systemd/system/podnetd.service": file, "/etc/default/podnetd": file,
		"/usr/lib/systemd/networkd.conf.d/50-podnet.conf": file, "/usr/lib/systemd/network/10-podnet.network": file,
		"/usr/lib/systemd/network/10-podnet.link": file, "/usr/lib/NetworkManager/conf.d/50-podnet.conf": file,
		"/etc/iproute2/rt_protos.d/podnet.conf": file, "/etc/podnet": "drwxr-xr-x",
		"/usr/share/doc/podnet/examples/full.yaml": file,
		"/usr/share/doc/podnet/README.md":          file, "/usr/share/doc/podnet/examples/quickstart/README.md": file,
		"/usr/share/doc/podnet/cmd/podnetctl/README.md": file, "/usr/share/doc/podnet/state/README.md": file,
		"/usr/share/doc/podnet/reconcile/README.md": file, "/usr/share/doc/podnet/systemd/README.md": file,
		"/usr/share/doc/podnet/ARCHITECTURE.md": file, "/usr/share/doc/podnet/CHANGELOG.md": file,
		"/usr/share/doc/podnet/CONTRIBUTING.md": file, "/usr/share/doc/podnet/GLOSSARY.md": file,
		"/usr/share/doc/podnet/cmd/cni/REFERENCE.md": file,
		"/usr/share/doc/podnet/SECURITY.md":          file, "/usr/share/doc/podnet/schema/REFERENCE.md": file,
		"/usr/share/doc/podnet/state/REFERENCE.md": file, "/usr/share/doc/podnet/cmd/podnetd/REFERENCE.md": file,
		"/usr/share/doc/podnet/cmd/podnetctl/COMMANDS.md": file, "/usr/share/doc/podnet/cmd/podnetctl/DOCUMENTS.md": file,
		"/usr/share/man/man5/podnet-topology.5.gz": file, "/usr/share/man/man8/podnetd.8.gz": file,
		"/usr/share/man/man8/podnetctl-apply.8.gz":            file,
		"/usr/share/bash-completion/completions/podnetctl":    file,
		"/usr/share/fish/vendor_completions.d/podnetctl.fish": file,
	}
	own := map[string][]string{
		"deb": {"/usr/share/doc/podnet/copyright", "/usr/share/doc/podnet/changelog.Debian.gz", "/usr/share/zsh/vendor-completions/_podnetctl"},
		"rpm": {"/usr/share/licenses/podnet/LICENSE", "/usr/share/zsh/site-functions/_podnetctl"},
	}
	for suffix, also := range own {
		t.Run(suffix, func(t *testing.T) {
			have := files(t, made(t, lab.SourceTree(), suffix))
			for _, name := range also {
				if have[name] != file {
					t.Errorf("%s is %q, want %q", name, have[name], file)
				}
			}
			for name, mode := range want {
				if have[name] != mode {
					t.Errorf("%s is %q, want %q", name, have[name], mode)
				}
			}
			for name, mode := range have {
				if strings.HasPrefix(name, "/etc/podnet/") {
					t.Errorf("%s: no topology is active after an installation", name)
				}
				if mode[8] == 'w' || strings.ContainsAny(mode, "sS") {
					t.Errorf("%s has the mode %s", name, mode)
				}
			}
		})
	}
}

// The same source in another directory gives the same bytes.
func TestReproducible(t *testing.T) {
	requires(t, "git", "git")
	source, elsewhere := lab.SourceTree(), filepath.Join(t.TempDir(), "elsewhere")
	output(t, "git", "-c", "safe.directory=*", "clone", "-q", "--no-hardlinks", source, elsewhere)
	// What is not committed belongs to the source too.
	output(t, "sh", "-c", fmt.Sprintf("cd %s && git -c safe.directory='*' ls-files -com --exclude-standard -z | "+
		"xargs -0 sh -c 'for f; do [ -e \"$f\" ] && cp --parents -p \"$f\" %s; done; true' -", source, elsewhere))
	version := strings.Fields(output(t, lab.Program("podnetctl"), "version"))[1]
	nfpm, err := filepath.Glob(filepath.Join(source, "bin/nfpm-*"))
	if err != nil || len(nfpm) == 0 {
		t.Fatalf("no bin/nfpm-* in %s (make package)", source)
	}
	cmd := exec.Command("make", "-C", elsewhere, "package", "VERSION="+version, "NFPM_PROGRAM="+nfpm[0])
	cmd.Env = append(os.Environ(), "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make package in a copy: %v\n%s", err, out)
	}
	for _, suffix := range []string{"deb", "rpm"} {
		if here, there := sum(t, made(t, source, suffix)), sum(t, made(t, elsewhere, suffix)); here != there {
			t.Errorf("%s: %s here, %s from another directory", suffix, here, there)
		}
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	return strings.Fields(output(t, "sha256sum", path))[0]
}
