package lab

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	os.Exit(Isolate(RunnerFunc(func() int {
		if os.Getenv("LAB_TEST_EXIT") != "" {
			return 7
		}
		return m.Run()
	})))
}

func TestIsolated(t *testing.T) {
	Need(t)
	if os.Getppid() != 1 {
		t.Errorf("the parent is process %d, want the lab's own init", os.Getppid())
	}
	if !strings.HasPrefix(t.TempDir(), tempDir) {
		t.Errorf("os.TempDir is %s, want it in the lab's own tmpfs", os.TempDir())
	}
	data, err := os.ReadFile("/proc/thread-self/net/dev") // of the process: its first thread may be a former lab's
	if err != nil {
		t.Fatal(err)
	}
	if links := strings.Count(string(data), ":"); links != 1 {
		t.Errorf("%d links, want lo alone:\n%s", links, data)
	}
}

// What a tool writes to the machine's directories is seen in the lab, and not on the machine.
func TestMachineStaysAsItIs(t *testing.T) {
	Need(t)
	if unix.Access("/etc", unix.W_OK) != nil {
		t.Skip("this needs root: an ordinary user writes nothing there")
	}
	tree := Tree(t, "node-a") // made of the machine's own
	for _, path := range []string{"/etc/left-by-lab", "/usr/bin/left-by-lab", "/var/lib/left-by-lab", "/opt/left-by-lab"} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(tree + path); !os.IsNotExist(err) {
			t.Errorf("%s is on the machine: %v", path, err)
		}
	}
}

func TestExitCode(t *testing.T) {
	Need(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "LAB_TEST_EXIT=1")
	_ = cmd.Run() // judged by its code
	if got := cmd.ProcessState.ExitCode(); got != 7 {
		t.Errorf("exit code %d, want the runner's 7", got)
	}
}

// Killing the outermost process with SIGKILL must take all that it started with it. The processes
// of the lab in a lab hold the write end of a pipe: it reads EOF when the last of them is gone.
func TestNothingSurvivesKill9(t *testing.T) {
	Need(t)
	if os.Getenv("LAB_TEST_HANG") != "" {
		cmd := exec.Command("sleep", "1000")
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("sleeping\n")
		select {}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestNothingSurvivesKill9$")
	cmd.Env = append(os.Environ(), "LAB_TEST_HANG=1")
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	in := bufio.NewReader(r)
	if line, err := in.ReadString('\n'); line != "sleeping\n" {
		t.Fatalf("the lab in a lab says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it should be
	if rest, _ := in.ReadString(0); rest != "" {
		t.Errorf("survivors say %q", rest)
	}
}
