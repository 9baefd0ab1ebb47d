package ansible

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// host is a node of the lab with a root of its own and an sshd, as a machine would be that somebody
// has just installed.
type host struct {
	*lab.Node
	t    *testing.T
	dir  string
	sshd int // its process
}

// newHost adds one to the lab; its sshd runs until the test ends.
func newHost(t *testing.T, l *lab.Lab, name, keys string) *host {
	t.Helper()
	h := &host{Node: l.Node(name), t: t}
	h.dir = h.Root
	for from, to := range map[string]string{"testdata/systemctl": "systemctl", keys + "/hostkey": "hostkey", keys + "/key.pub": "authorized_keys"} {
		data, err := os.ReadFile(from)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(h.dir, to), data, 0o600))
	}
	cmd := exec.Command("sh", "testdata/host.sh", h.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	log, err := os.Create(filepath.Join(h.dir, "sshd.log"))
	must(t, err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	must(t, h.Do(cmd.Start))
	h.sshd = cmd.Process.Pid
	t.Cleanup(func() { h.end(cmd) })
	lab.Eventually(t, lab.Patience, name+": sshd answers", func() error {
		_, err := l.Outside().Exec("bash", "-c", fmt.Sprintf("read -r -t 1 banner </dev/tcp/%s/22 && [[ $banner = SSH-* ]]", h.IP4))
		if err != nil {
			said, _ := os.ReadFile(log.Name())
			err = fmt.Errorf("%w: %s", err, said)
		}
		return err
	})
	return h
}

func (h *host) end(sshd *exec.Cmd) {
	if h.t.Failed() {
		log, err := os.ReadFile(h.file("/var/log/podnetd.log"))
		h.t.Logf("%s: end of the log of podnetd: %v\n%s", h.Host, err, log[max(0, len(log)-2000):])
	}
	_, _ = h.sh("systemctl stop podnetd") // what still runs dies with the lab
	_ = sshd.Process.Kill()
	_ = sshd.Wait()
}

// file is where a file of the host is, if it has been written since the host was made.
func (h *host) file(path string) string { return filepath.Join(h.dir, "upper", path) }

// exists says whether the host has got a file.
func (h *host) exists(path string) bool {
	info, err := os.Lstat(h.file(path))
	return err == nil && info.Mode()&os.ModeCharDevice == 0 // such a one says that the file was removed
}

// sh runs a command line on the host and returns what it said, to either output.
func (h *host) sh(line string) (string, error) {
	of := fmt.Sprintf("/proc/%d/", h.sshd)
	return h.Namespace.Exec("nsenter", "--mount="+of+"ns/mnt", "--root="+of+"root", "sh", "-c", "exec 2>&1; cd /; "+line)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
