package faults

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/tracer"
)

// Who owns the directory of a topology can put a link in its place at any moment: root gives away
// the file that it has written, not the one that the name leads to by then.
func TestReplacedFileIsGivenAwayByItself(t *testing.T) {
	const owner = 1000
	dir := t.TempDir()
	path, elsewhere := filepath.Join(dir, "ledger.yaml"), filepath.Join(t.TempDir(), "shadow")
	const text = "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata: {name: lab}\n" +
		"network: {clusterCIDRs: [10.244.0.0/22]}\nnodes:\n- {name: node-a, ip: 192.0.2.11}\n"
	if err := errors.Join(os.WriteFile(elsewhere, nil, 0o600), os.WriteFile(path, []byte(text), 0o640)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, owner, owner); err != nil {
		t.Skipf("this user namespace has one user only: run as root (%v)", err)
	}
	swapped := errors.New("nothing was put in place")
	trace := tracer.Tracer{
		Enter: func(*tracer.Call) tracer.Verdict { return tracer.Verdict{} },
		Leave: func(c *tracer.Call) tracer.Verdict {
			if (c.Nr == unix.SYS_RENAMEAT || c.Nr == unix.SYS_RENAMEAT2) && c.Path() == path {
				swapped = errors.Join(os.Rename(path, path+".written"), os.Symlink(elsewhere, path))
			}
			return tracer.Verdict{}
		},
	}
	cmd := exec.Command(lab.Program("podnetctl"), "allocate", path)
	cmd.Stdin = strings.NewReader("")
	out, err := trace.Run(lab.NewNamespace(t, "link"), cmd)
	if err := errors.Join(err, swapped); err != nil {
		t.Fatalf("%v: %+v", err, out)
	}
	for path, uid := range map[string]int{elsewhere: os.Geteuid(), path + ".written": owner} {
		if info, err := os.Stat(path); err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != uid {
			t.Errorf("%s is not of user %d: %+v, %v", path, uid, info, err)
		}
	}
	if info, err := os.Stat(path + ".written"); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode was not kept: %+v, %v", info, err)
	}
}
