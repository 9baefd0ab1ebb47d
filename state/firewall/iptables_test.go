package firewall

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A program that has ended is not waited for because a child of its own has its output open.
func TestProgramsChildren(t *testing.T) {
	dir := t.TempDir()
	defer func() { _ = exec.Command("sh", "-c", "kill $(cat "+dir+"/pids)").Run() }()
	for exit, want := range map[string]string{"echo out; exit 0": "out\n <nil>", "echo broken >&2; exit 1": " " + dir + "/program: broken"} {
		wrapper := fmt.Sprintf("#!/bin/sh\nsleep 60 &\necho $! >>%s/pids\n%s\n", dir, exit)
		if err := os.WriteFile(dir+"/program", []byte(wrapper), 0o755); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		out, err := runProgram("", dir+"/program")
		if got := fmt.Sprint(out, " ", err); got != want || time.Since(start) > 30*time.Second {
			t.Errorf("%s: %q after %s", exit, got, time.Since(start))
		}
	}
}
