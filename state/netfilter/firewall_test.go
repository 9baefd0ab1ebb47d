package netfilter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"

	"github.com/podnet/podnet/state/netlink"
)

// The tests work on the firewall of the namespace that they have for themselves.
func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

func sh(t *testing.T, line string) string {
	t.Helper()
	lab.Need(t)
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

func dial(t *testing.T) *Conn {
	t.Helper()
	lab.Need(t)
	c, err := Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

const script = `add table inet t
add chain inet t c
add chain inet t d
add map inet t m { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; flags interval; }
add rule inet t c jump d comment "to d"
add rule inet t c accept
add rule inet t d drop comment "drop it"`

func TestRules(t *testing.T) {
	c := dial(t)
	if rules, err := c.Rules(Chain{Inet, "t", "c"}); err != nil || len(rules) > 0 {
		t.Errorf("a table that is not there: %v %v", rules, err)
	}
	if err := Script(script); err != nil {
		t.Fatal(err)
	}
	defer sh(t, "nft delete table inet t")
	rules, err := c.Rules(Chain{Inet, "t", ""})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rules {
		got = append(got, r.Chain+":"+r.Comment+":"+r.Jump)
	}
	if s := strings.Join(got, " "); s != "c:to d:d c:: d:drop it:" {
		t.Error(s)
	}
	for name, want := range map[string]bool{"c": true, "none": false} {
		if has, err := c.HasChain(Chain{Inet, "t", name}); has != want || err != nil {
			t.Errorf("chain %s: %t %v", name, has, err)
		}
	}
	var b Batch
	b.DeleteRule(Inet, "t", rules[0])
	b.DeleteChain(Chain{Inet, "t", "d"})
	if err := c.Commit(&b); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, "nft list table inet t"); strings.Contains(got, "chain d") || strings.Contains(got, "jump") || !strings.Contains(got, "accept") {
		t.Error(got)
	}
}

func TestElements(t *testing.T) {
	c := dial(t)
	if err := Script(script); err != nil {
		t.Fatal(err)
	}
	defer sh(t, "nft delete table inet t")
	m := Set{Inet, "t", "m"}
	e := Element{
		Key:  []byte{0, 0, 0, 0, 6, 0, 0, 0, 0x1f, 0x90, 0, 0}, // any . tcp . 8080
		End:  []byte{255, 255, 255, 255, 6, 0, 0, 0, 0x1f, 0x90, 0, 0},
		Data: []byte{10, 1, 0, 2, 0, 80, 0, 0}, Comment: "net/id/eth0",
	}
	var add Batch
	add.addElement(m, e)
	if err := c.Commit(&add); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, "nft list map inet t m"); !strings.Contains(got, `0.0.0.0/0 . tcp . 8080 comment "net/id/eth0" : 10.1.0.2 . 80`) {
		t.Error(got)
	}
	if got, err := c.Elements(m); err != nil || fmt.Sprint(got) != fmt.Sprint([]Element{e}) {
		t.Errorf("got %v %v, want %v", got, err, e)
	}
	other := e
	other.Key, other.End = append([]byte(nil), e.Key...), append([]byte(nil), e.End...)
	other.Key[9], other.End[9] = 1, 1
	var both Batch // the first could be true, the second is already
	both.addElement(m, other)
	both.addElement(m, e)
	if err := c.Commit(&both); !errors.Is(err, unix.EEXIST) || !strings.Contains(err.Error(), "net/id/eth0") {
		t.Errorf("twice the same: %v", err)
	}
	if got, _ := c.Elements(m); len(got) != 1 {
		t.Errorf("half of a batch: %v", got)
	}
	var del Batch
	del.DeleteElement(m, e)
	if err := c.Commit(&del); err != nil {
		t.Error(err)
	}
	if err := c.Commit(&del); !errors.Is(err, unix.ENOENT) {
		t.Errorf("deleted twice: %v", err)
	}
	if sets, err := c.Sets(Inet, "t"); err != nil || len(sets) != 1 || sets[0] != m {
		t.Errorf("sets: %v %v", sets, err)
	}
}

// Thousands of elements in one batch, and more of them than one read of the socket holds.
func TestManyElements(t *testing.T) {
	c := dial(t)
	if err := Script("add table inet t\nadd set inet t s { type ipv4_addr; }"); err != nil {
		t.Fatal(err)
	}
	defer sh(t, "nft delete table inet t")
	var b Batch
	const n = 5000
	for i := range n {
		b.addElement(Set{Inet, "t", "s"}, Element{Key: []byte{10, 1, byte(i >> 8), byte(i)}, Comment: fmt.Sprint("network/container-id/eth", i)})
	}
	if err := c.Commit(&b); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Elements(Set{Inet, "t", "s"}); err != nil || len(got) != n {
		t.Errorf("%d elements, %v", len(got), err)
	}
}

// A dump during which the kernel put its hash table in another order is told from a whole one.
func TestTornDump(t *testing.T) {
	message := func(last ...byte) []byte {
		var elements []content
		for _, b := range last {
			elements = append(elements, func(m *netlink.Message) { m.Nest(unix.NFTA_SET_ELEM_KEY, value([]byte{10, 1, 0, b})) })
		}
		var b netlink.Batch
		b.Message(0, 0).Nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, list(elements))
		return b.Bytes()[unix.NLMSG_HDRLEN:]
	}
	for _, c := range []struct {
		name     string
		messages [][]byte
		whole    bool
	}{
		{"no element", nil, true},
		{"each once", [][]byte{message(1, 2), message(3)}, true},
		{"one again in the next message", [][]byte{message(1, 2), message(2)}, false},
		{"one again in the same message", [][]byte{message(1, 1)}, false},
	} {
		l := listing{seen: map[string]bool{}}
		for _, m := range c.messages {
			l.add(m)
		}
		if l.whole() != c.whole {
			t.Errorf("%s: whole is %t of %v", c.name, l.whole(), l.elements)
		}
	}
}

// Either kind of iptables is told from the program's name, read, and cleaned.
func TestIPTables(t *testing.T) {
	for _, kind := range []string{"nft", "legacy"} {
		for family, program := range map[netlink.Family]string{netlink.IPv4: "iptables", netlink.IPv6: "ip6tables"} {
			t.Run(program+"-"+kind, func(t *testing.T) {
				multi, err := exec.LookPath("xtables-" + kind + "-multi")
				if err != nil {
					t.Skip(err)
				}
				dir := t.TempDir()
				if err := os.Symlink(multi, dir+"/"+program+"-restore"); err != nil {
					t.Fatal(err)
				}
				t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
				if out, err := exec.Command(program+"-"+kind, "-t", "nat", "-S").CombinedOutput(); err != nil {
					t.Skipf("the kernel has no such table: %s", out)
				}
				c := dial(t)
				nat := c.IPTables(family, "nat")
				if legacy, err := nat.legacy(); err != nil || legacy != (kind == "legacy") {
					t.Errorf("legacy: %t %v", legacy, err)
				}
				if rules, err := nat.Rules("MINE"); err != nil || len(rules) > 0 {
					t.Errorf("a chain that is not there: %v %v", rules, err)
				}
				err = nat.Restore(":MINE - [0:0]", "-A OUTPUT -p tcp -m tcp --dport 80 -m comment --comment \"to \\\"mine\\\" \" -j MINE", "-A MINE -j RETURN")
				if err != nil {
					t.Fatal(err)
				}
				rules, err := nat.Rules("OUTPUT")
				if err != nil || len(rules) != 1 || rules[0].Comment != `to "mine" ` || rules[0].Jump != "MINE" || rules[0].Chain != "OUTPUT" {
					t.Fatalf("%+v %v", rules, err)
				}
				if inside, err := nat.Rules("MINE"); err != nil || len(inside) != 1 {
					t.Errorf("%+v %v", inside, err)
				}
				if err := nat.Delete(rules, "MINE", "NONE"); err != nil {
					t.Fatal(err)
				}
				if got := sh(t, program+"-"+kind+"-save -t nat"); strings.Contains(got, "MINE") || strings.Contains(got, "-A ") || strings.Contains(got, "NONE") {
					t.Error(got)
				}
			})
		}
	}
}

func TestLock(t *testing.T) {
	unlock, err := Lock(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(10 * time.Millisecond); !errors.Is(err, ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	unlock()
	unlock, err = Lock(10 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// A program holds the lock as long as it runs, although the plugin that executed it has been
// killed.
func TestLockInherited(t *testing.T) {
	held, err := acquire(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	program := exec.Command("cat")
	input, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	unix.Close(held.fd) // as the kernel does for one that is killed
	if _, err := Lock(10 * time.Millisecond); !errors.Is(err, ErrLocked) {
		t.Errorf("locked while a program runs: %v", err)
	}
	input.Close()
	if err := program.Wait(); err != nil {
		t.Fatal(err)
	}
	unlock, err := Lock(10 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// Rules that the program of a killed plugin has yet to write are found, and a lock that nobody gives
// back keeps nobody from the answer.
func TestFind(t *testing.T) {
	lab.Need(t)
	held, err := acquire(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	written := false
	program := exec.Command("sleep", "0.2")
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	unix.Close(held.fd)
	looks := 0
	look := func(*Conn) (bool, error) {
		looks++
		if looks > 1 { // the program has ended
			written = true
		}
		return written, nil
	}
	if found, err := Find(look); !found || err != nil || looks != 2 {
		t.Errorf("found %v after %d looks, %v", found, looks, err)
	}
	if err := program.Wait(); err != nil {
		t.Fatal(err)
	}
	unlock, err := Lock(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if found, err := Find(func(*Conn) (bool, error) { return false, nil }); found || err != nil {
		t.Errorf("with the lock held for good: %v, %v", found, err)
	}
}

// Nobody but root can hold the lock up: not by the namespace, which all of its processes can open,
// nor by a file that stands in its place.
func TestLockOfOthers(t *testing.T) {
	lab.NeedUsers(t)
	lab.Need(t)
	path, err := lockFile()
	if err != nil {
		t.Fatal(err)
	}
	for name, prepare := range map[string]func() (*os.File, error){
		"the namespace": func() (*os.File, error) { return os.Open(namespace) },
		"a file that all may read": func() (*os.File, error) {
			f, err := os.Create(path)
			return f, errors.Join(err, os.Chmod(path, 0o644))
		},
		"somebody else's file": func() (*os.File, error) {
			f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
			return f, errors.Join(err, os.Chown(path, 65534, 65534))
		},
	} {
		f, err := prepare()
		if err != nil {
			t.Fatal(name, err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Fatal(name, err)
		}
		unlock, err := Lock(lab.Patience)
		if err != nil {
			t.Fatal(name, err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode() != 0o600 {
			t.Errorf("%s: the lock file: %v %v", name, st, err)
		}
		unlock()
		f.Close()
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the lock file after its holder: %v", err)
	}
}

func TestScriptError(t *testing.T) {
	if err := Script("add nonsense"); err == nil || !strings.Contains(err.Error(), "syntax error") {
		t.Error(err)
	}
}

// A program that has ended is not waited for because a child of its own has its output open.
func TestProgramsChildren(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	defer func() { sh(t, "kill $(cat "+dir+"/pids)") }()
	for exit, want := range map[string]string{"exit 0": "<nil>", "echo broken >&2; exit 1": "nft: broken"} {
		wrapper := fmt.Sprintf("#!/bin/sh\nsleep 60 &\necho $! >>%s/pids\n%s\n", dir, exit)
		if err := os.WriteFile(dir+"/nft", []byte(wrapper), 0o755); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := fmt.Sprint(Script("")); err != want || time.Since(start) > 30*time.Second {
			t.Errorf("%s: %s after %s", exit, err, time.Since(start))
		}
	}
}
