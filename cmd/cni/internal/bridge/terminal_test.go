package bridge_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// Whoever asks for the version by hand need not end an input that nobody told of.
func TestVersionOnTerminal(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), lab.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, lab.Program("cni/bridge"))
	cmd.Env = append(os.Environ(), "CNI_COMMAND=VERSION")
	cmd.Stdin = terminal(t)
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), `"supportedVersions":["0.1.0"`) {
		t.Errorf("%q, %v", out, err)
	}
}

// terminal opens one at which nobody types.
func terminal(t *testing.T) *os.File {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudoterminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return program
}
