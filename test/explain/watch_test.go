package explain

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// watching is podnetctl status --watch on node-a.
func (s *site) watching() *exec.Cmd {
	return exec.Command(lab.Program("podnetctl"), "--root", s.a.Root, "--node", s.a.Host, "status", "--watch")
}

// Without a terminal there is a line of JSON for each change, and an interrupt ends it with exit
// code 0.
func TestWatchLines(t *testing.T) {
	s := newSite(t)
	s.a.Start()
	cmd := s.watching()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.a.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	next := func() (status struct {
		Kind       string
		LastHealed []struct{ Kind, Name string }
	}) {
		if !lines.Scan() {
			t.Fatalf("no more lines: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &status); err != nil || status.Kind != "NodeStatus" {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		return status
	}
	next()
	s.a.Sh("ip route del " + lab.PodCIDR4(1))
	for {
		if healed := next().LastHealed; len(healed) > 0 && healed[0].Kind == "route" && healed[0].Name == lab.PodCIDR4(1) {
			break
		}
	}
	_ = cmd.Process.Signal(unix.SIGINT)
	for lines.Scan() {
		continue // what was on its way
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

// typescript is what a program has written to a terminal.
type typescript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *typescript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *typescript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// terminal opens one of 100 columns and 30 lines: the end that a person has, and the program's.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudoterminals here: %v", err)
	}
	fd := int(person.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100})
	}
	if err == nil {
		program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return person, program
}

// On a terminal there is a live screen that shows what is healed; Ctrl-C ends it and brings back
// what was there before.
func TestWatchTerminal(t *testing.T) {
	s := newSite(t)
	s.a.Start()
	person, program := terminal(t)
	defer person.Close()
	cmd := s.watching()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.a.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	program.Close()
	var seen typescript
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := person.Read(buf)
			if err != nil {
				return // the program has gone
			}
			_, _ = seen.Write(buf[:n])
		}
	}()
	shows := func(what string) {
		t.Helper()
		lab.Eventually(t, lab.Patience, "the screen shows "+what, func() error {
			if !strings.Contains(seen.String(), what) {
				return fmt.Errorf("%q", seen.String())
			}
			return nil
		})
	}
	shows("IN SYNC")
	s.a.Sh("ip route del " + lab.PodCIDR4(1))
	shows("create  route       " + lab.PodCIDR4(1))
	if _, err := person.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
	const enter, leave = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
	shows(leave)
	if text := seen.String(); !strings.HasPrefix(text, enter) || strings.Count(text, leave) != 1 {
		t.Errorf("the terminal is left as %q ... %q", text[:40], text[len(text)-40:])
	}
}
