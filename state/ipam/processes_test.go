package ipam

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// workerEnv makes this program a worker that reserves and releases in the store it names.
const workerEnv = "IPAM_TEST_WORKER"

func TestMain(m *testing.M) {
	if job := os.Getenv(workerEnv); job != "" {
		work(job)
		return
	}
	os.Exit(lab.Isolate(m)) // its temporary directories are in memory, and vanish whatever happens
}

const perWorker = 40

// addingJob begins the name of a worker that reserves once, as Bound, and waits for the end of its
// input.
const addingJob = "adding-"

// work reserves perWorker addresses, releases every other one, and prints those that it keeps.
func work(job string) {
	name, dir, _ := strings.Cut(job, " ")
	sets := []Set{{{Subnet: netip.MustParsePrefix("10.0.0.0/22")}}, {{Subnet: netip.MustParsePrefix("fd00::/64")}}}
	sets, err := Normalize(sets)
	if err != nil {
		panic(err)
	}
	s, err := Open(dir)
	if err != nil {
		panic(err)
	}
	if id, is := strings.CutPrefix(name, addingJob); is {
		grants, err := s.Bound().Reserve(context.Background(), Owner{id, "eth0"}, sets)
		if err != nil {
			panic(err)
		}
		fmt.Println(grants)
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	for i := range perWorker {
		o := Owner{fmt.Sprintf("%s-%d", name, i), "eth0"}
		grants, err := s.Reserve(context.Background(), o, sets)
		if err != nil {
			panic(err)
		}
		if i%2 == 0 {
			if _, err := s.Release(context.Background(), o); err != nil {
				panic(err)
			}
			continue
		}
		for _, g := range grants {
			fmt.Println(g.Addr.Addr(), o.ContainerID)
		}
	}
}

// Many processes at once: no address is given twice, and every lease that was given is in the
// store.
func TestProcesses(t *testing.T) {
	const workers = 8
	dir := t.TempDir()
	outputs := make(chan string)
	for w := range workers {
		go func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=w%d %s", workerEnv, w, dir))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("worker %d: %v\n%s", w, err, out)
			}
			outputs <- string(out)
		}()
	}
	given := map[string]string{}
	for range workers {
		for _, line := range strings.Split(strings.TrimSpace(<-outputs), "\n") {
			a, id, _ := strings.Cut(line, " ")
			if other, twice := given[a]; twice {
				t.Errorf("%s given to %s and %s", a, other, id)
			}
			given[a] = id + ",true"
		}
	}
	if want := workers * perWorker; len(given) != want {
		t.Errorf("%d addresses given, want %d", len(given), want)
	}
	check(t, fmt.Sprint(leases(t, open(t, dir))), fmt.Sprint(given))
}

// What an operation touches in the directory does not depend on how many leases there are: the
// kernel counts.
func TestConstantCost(t *testing.T) {
	lab.Need(t)
	counts := map[string]int{}
	for _, n := range []int{10, 60_000} {
		s, sets := open(t, t.TempDir()), []Set{set(t, "10.0.0.0/8"), set(t, "fd00::/64")}
		reserve(s, owner(0), sets)
		fill(t, s, sets, n)
		for _, op := range []struct {
			name string
			f    func()
		}{
			{"reserve", func() { reserve(s, owner(1), sets) }},
			{"again", func() { reserve(s, owner(1), sets) }},
			{"release", func() { s.Release(context.Background(), owner(1)) }},
			{"release none", func() { s.Release(context.Background(), owner(2)) }},
		} {
			events := watch(t, s.dir)
			op.f()
			got := events()
			if want, ok := counts[op.name]; ok && got != want || got == 0 || got > 50 {
				t.Errorf("%s with %d leases: %d accesses, with 10: %d", op.name, n, got, want)
			}
			counts[op.name] = got
		}
	}
}

// fill adds leases as if n pods had come before: quickly, and in one piece.
func fill(t *testing.T, s *Store, sets []Set, n int) {
	t.Helper()
	addrs := make([]netip.Addr, len(sets))
	for i := range sets {
		addrs[i] = s.previous(i)
	}
	for pod := range n {
		o := Owner{fmt.Sprintf("full-%d", pod), "eth0"}
		for i := range addrs {
			addrs[i] = addrs[i].Next()
			write(t, s, addrs[i].String(), o.content())
		}
		if err := s.putEntry(o.key(), entry{writer: byPodnet, addrs: addrs}); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range addrs {
		if err := s.setPrevious(i, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.stamp(); err != nil {
		t.Fatal(err)
	}
}

// watch counts every access to a directory or to a file in it until its result is called.
func watch(t *testing.T, dir string) (events func() int) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_ALL_EVENTS); err != nil {
		t.Fatal(err)
	}
	return func() int {
		defer unix.Close(fd)
		buf := make([]byte, 1<<20)
		n, err := unix.Read(fd, buf)
		if err != nil {
			return 0
		}
		count := 0
		for at := 0; at < n; count++ {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			at += unix.SizeofInotifyEvent + int(e.Len)
		}
		return count
	}
}
