package ansible

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// dnf turns the host into one whose packages are rpm's: Debian's own dnf, with a database of its
// own. No repository is there to ask; what podnet needs of one is in place.
func (h *host) dnf() {
	h.t.Helper()
	root := fmt.Sprintf("/proc/%d/root", h.sshd)
	if err := lab.CopyDebs("dnf", root+"/var/tmp/debs"); err != nil {
		h.t.Skip(err)
	}
	spec := "Name: iptables\nVersion: 1.8.8\nRelease: 6\nSummary: As the distribution has it\nLicense: GPLv2\nBuildArch: noarch\n%description\n.\n%files\n"
	must(h.t, os.WriteFile(root+"/var/tmp/iptables.spec", []byte(spec), 0o644))
	for _, line := range []string{
		"dpkg -i /var/tmp/debs/*.deb",
		"rpmbuild -bb --define '_rpmdir /var/tmp' /var/tmp/iptables.spec && rpm -i /var/tmp/noarch/iptables-*.rpm",
	} {
		if out, err := h.sh(line); err != nil {
			h.t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
}

// installed is the version that rpm has of podnet.
func (h *host) installed() string {
	h.t.Helper()
	out, err := h.sh("rpm -q --qf '%{VERSION}' podnet")
	if err != nil {
		h.t.Errorf("%v: %s", err, out)
	}
	return strings.TrimSpace(out)
}

// The role's other branch: a node whose packages are rpm's is installed, left as it is, upgraded,
// and taken back.
func TestRollOutRPM(t *testing.T) {
	requireTools(t)
	if os.Getenv("PODNET_ANSIBLE") != "full" {
		t.Skip("PODNET_ANSIBLE is not full, as make e2e sets it: this takes long")
	}
	s := newSite(t)
	a := newHost(t, s.lab, "node-a", s.keys)
	a.dnf()
	s.hosts = []*host{a}
	old, next := s.rpm("1.0.0"), s.rpm("1.1.0")
	s.play("allocate.yml").succeeds()

	s.play("rollout.yml", "-e", "podnet_package="+old).succeeds()
	s.follows(s.topology(), a)
	if v := a.installed(); v != "1.0.0" {
		t.Errorf("rpm has %q", v)
	}
	s.play("rollout.yml", "-e", "podnet_package="+old).succeeds().changes(0)

	before, err := a.sh("cat /run/podnetd.pid")
	must(t, err)
	s.play("rollout.yml", "-e", "podnet_package="+next).succeeds()
	if v := a.installed(); v != "1.1.0" {
		t.Errorf("rpm has %q after the upgrade", v)
	}
	if after, err := a.sh("cat /run/podnetd.pid"); err != nil || after == before {
		t.Errorf("podnetd is still process %s: %v", after, err)
	}
	s.follows(s.topology(), a)
	s.play("rollout.yml", "-e", "podnet_package="+old).succeeds()
	if v := a.installed(); v != "1.0.0" {
		t.Errorf("rpm has %q after going back", v)
	}
	s.follows(s.topology(), a)
	if out, err := a.sh("rpm -V podnet"); err != nil && strings.Trim(out, "\n") != "S.5....T.  c /etc/default/podnetd" {
		t.Errorf("%v: %s", err, out)
	}
}

// rpm is the package as a version.
func (s *site) rpm(version string) string {
	s.t.Helper()
	dir := filepath.Join(s.keys, "packages")
	must(s.t, os.MkdirAll(dir, 0o755))
	path, err := lab.Repackage("rpm", version, dir)
	must(s.t, err)
	return path
}
