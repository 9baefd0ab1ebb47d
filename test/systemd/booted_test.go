package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// booted is a node of the lab with a systemd of its own, and the package installed.
type booted struct {
	*lab.Server
	t *testing.T
}

// boot adds a node to the lab, boots it, and installs the package.
func boot(t *testing.T, l *lab.Lab, name string) *booted {
	t.Helper()
	if err := lab.RequireBoot(); err != nil {
		t.Skip(err)
	}
	b := &booted{l.Boot(name), t}
	b.install(made(t))
	return b
}

// do runs a command in all of the node's namespaces.
func (b *booted) do(args ...string) (string, error) { return b.feed("", args...) }

func (b *booted) feed(input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*lab.Patience)
	defer cancel()
	cmd := b.Enter(ctx, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func (b *booted) must(args ...string) string {
	b.t.Helper()
	out, err := b.do(args...)
	must(b.t, err)
	return out
}

// show is a property of podnetd.service.
func (b *booted) show(property string) string {
	b.t.Helper()
	return strings.TrimSpace(b.must("systemctl", "show", "--value", "-p", property, "podnetd.service"))
}

// journal waits until the journal of podnetd.service has all of these texts: systemd writes there
// after the fact.
func (b *booted) journal(texts ...string) {
	b.t.Helper()
	lab.Eventually(b.t, lab.Patience, "journal", func() error {
		out := b.must("journalctl", "--no-pager", "-u", "podnetd")
		for _, text := range texts {
			if !strings.Contains(out, text) {
				return fmt.Errorf("no %q in:\n%s", text, out)
			}
		}
		return nil
	})
}

// dropIn adds to the unit, as an administrator would.
func (b *booted) dropIn(text string) {
	b.t.Helper()
	b.WriteFile("/etc/systemd/system/podnetd.service.d/test.conf", text)
	b.must("systemctl", "daemon-reload")
}

// install puts a deb on the node.
func (b *booted) install(deb string) {
	b.t.Helper()
	data, err := os.ReadFile(deb)
	must(b.t, err)
	b.WriteFile("/var/tmp/podnet.deb", string(data))
	b.must("dpkg", "-i", "/var/tmp/podnet.deb")
}

func made(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(lab.SourceTree(), "bin/package/*.deb"))
	if err == nil && len(found) != 1 {
		err = errors.New("no package, or several, in bin/package (make package)")
	}
	must(t, err)
	return found[0]
}

func requires(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (apt-get install %s)", program, pkg)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
