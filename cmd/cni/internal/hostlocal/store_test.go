package hostlocal_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// Whoever cannot get the store's lock in time tells the runtime to try again later, and changes
// nothing.
func TestBusyStore(t *testing.T) {
	h := newHost(t)
	h.Succeed(h.ipam("one", "1.0.0", "", ranges4).With("ADD"))
	lock, err := os.Open(h.DataDir() + "/net/lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	h.Fail(h.ipam("two", "1.0.0", "", ranges4).With("ADD"), 11, "locked by another process", "fuser")
	cnihost.Same(t, "leases", h.LeaseFiles(), "10.1.0.2")
}

// A boot id that cannot be read is said, and the leases of another boot stay.
func TestNoBootID(t *testing.T) {
	h := newHost(t)
	conf := h.ipam("one", "1.0.0", "", `"subnet":"10.1.0.0/29"`)
	h.Succeed(conf.With("ADD"))
	record := h.DataDir() + "/net/.podnet/record"
	if err := os.WriteFile(record, []byte(`{"version":1,"bootID":"another"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const file = "/proc/sys/kernel/random/boot_id"
	if err := unix.Mount("/dev/null", file, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cover %s: %v", file, err)
	}
	two := h.ipam("two", "1.0.0", "", `"subnet":"10.1.0.0/29"`)
	cmd := exec.Command(lab.Program("cni/host-local"))
	cmd.Env = append(os.Environ(), "CNI_COMMAND=ADD", "CNI_CONTAINERID=two", "CNI_NETNS=/x", "CNI_IFNAME=eth0", "CNI_PATH=/x")
	cmd.Stdin = strings.NewReader(two.Conf)
	out, err := cmd.CombinedOutput()
	if err := unix.Unmount(file, 0); err != nil {
		t.Fatal(err)
	}
	if err != nil || !strings.Contains(string(out), "10.1.0.3/29") || !strings.Contains(string(out), "boot_id) cannot be read") {
		t.Errorf("%s %v", out, err)
	}
	h.Succeed(h.ipam("three", "1.0.0", "", `"subnet":"10.1.0.0/29"`).With("ADD"))
	cnihost.Same(t, "leases", h.LeaseFiles(), "10.1.0.2 10.1.0.3 10.1.0.4")
}

// Leases that nobody can judge stay, and the message says which files: another plugin's, and those
// of pods that need no veth.
func TestUnjudgedLeases(t *testing.T) {
	h := newHost(t)
	ipam := func(id, kind string) cnihost.Call {
		c := h.ipam(id, "1.0.0", "", `"ranges":[[{"subnet":"10.1.0.0/29"}]]`)
		c.Conf = strings.Replace(c.Conf, `"type":"x"`, `"type":"`+kind+`"`, 1)
		return c
	}
	for i := range 4 {
		h.Succeed(ipam(fmt.Sprint("c", i), "macvlan").With("ADD"))
	}
	if err := os.WriteFile(h.DataDir()+"/net/10.1.0.6", []byte("theirs\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.AgeLeases()
	h.Fail(ipam("late", "macvlan").With("ADD"), 100, "all 5 are leased", "of 5 podnet cannot tell", h.DataDir()+"/net/10.1.0.")
	h.Fail(ipam("late", "bridge").With("ADD").Named("10.1.0.6"), 101, "container theirs (eth0) has it")
	if got := h.Succeed(ipam("late", "bridge").With("ADD")); !strings.Contains(got, "10.1.0.2/29") {
		t.Error(got)
	}
}

// The reference plugin's leases look as they do without podnet's index beside them: its host-local
// finds one owner once.
func TestReferenceHostLocal(t *testing.T) {
	theirs := cnihost.Reference(t)
	h := newHost(t)
	ipam := func(id, path string) cnihost.Call {
		c := h.ipam(id, "1.0.0", "", ranges46)
		c.Conf, c.Path = strings.Replace(c.Conf, `"type":"x"`, `"type":"bridge"`, 1), path
		return c
	}
	ours := lab.Program("cni")
	h.Succeed(ipam("one", ours).With("ADD"))
	if _, err := h.Try(ipam("one", theirs).With("ADD")); err == nil || !strings.Contains(err.Error(), "10.1.0.2 has been allocated to one") {
		t.Errorf("their second ADD: %v", err)
	}
	h.Succeed(ipam("one", theirs).With("CHECK"))
	h.Succeed(ipam("two", theirs).With("ADD"))
	if got := h.Succeed(ipam("two", ours).With("ADD")); !strings.Contains(got, "10.1.0.3/24") || !strings.Contains(got, "fd00:1::3/64") {
		t.Errorf("our second ADD of theirs: %s", got)
	}
	h.Succeed(ipam("one", theirs).With("DEL"))
	cnihost.Same(t, "leases", h.LeaseFiles(), "10.1.0.3 fd00:1::3")
	h.Fail(ipam("one", ours).With("CHECK"), 103, "no lease")
	h.Succeed(ipam("two", ours).With("DEL"))
	cnihost.Same(t, "leases", h.LeaseFiles(), "")
}

// A DEL that waits in vain says that trying again helps, and who is at work.
func TestDelDuringEndlessAdd(t *testing.T) {
	h := newHost(t)
	c := h.ipam("one", "1.0.0", "", ranges4)
	h.Succeed(c.With("ADD"))
	lease, err := os.Open(h.DataDir() + "/net/10.1.0.2")
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	if err := unix.Flock(int(lease.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	h.Fail(c.With("DEL"), 11, "another call for this container", "fuser -v "+lease.Name())
	h.Succeed(h.ipam("two", "1.0.0", "", ranges4).With("ADD")) // others go on
	cnihost.Same(t, "leases", h.LeaseFiles(), "10.1.0.2 10.1.0.3")
}
