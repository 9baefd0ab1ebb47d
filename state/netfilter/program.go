package netfilter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// programTimeout bounds a program, and how long iptables-legacy waits for its lock.
const programTimeout = 20 * time.Second

// pipeDelay is how long a program that has ended may leave its output open to children of its own,
// as a wrapper that was killed does.
const pipeDelay = time.Second

// ErrNoProgram says that a program is not installed.
var ErrNoProgram = errors.New("not installed")

// ErrRefused says that a program did not take what it was told, and would not a second time.
var ErrRefused = errors.New("refused")

// refusal is what a program said of its input.
type refusal string

func (r refusal) Error() string { return string(r) }

func (refusal) Is(target error) bool { return target == ErrRefused }

// What the iptables programs end with for a lock or memory that could not be had, and those for
// nftables also for a rule that the kernel has refused, which they name.
const (
	busy        = 4
	refusedRule = "RULE_APPEND failed"
)

// FindProgram finds a program where administrators' programs are, whatever PATH its caller has. The
// error wraps ErrNoProgram.
func FindProgram(name string) (string, error) {
	dirs := append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && filepath.IsAbs(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrNoProgram)
}

// Script executes lines in the language of nft as one transaction.
func Script(lines string) error {
	_, err := run("nft", lines, "-f", "-")
	return err
}

// run executes a program with input and returns what it prints; its exit is an error with what it
// said.
func run(name, input string, args ...string) (string, error) {
	path, err := FindProgram(name)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(input), pipeDelay
	out, err := cmd.Output()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) { // it has succeeded
		return string(out), nil
	}
	if said := new(exec.ExitError); errors.As(err, &said) && len(said.Stderr) > 0 {
		text := strings.TrimSpace(string(said.Stderr))
		if err = errors.New(text); said.Exited() && (said.ExitCode() != busy || strings.Contains(text, refusedRule)) {
			err = refusal(text)
		}
	} else if ctx.Err() != nil {
		err = fmt.Errorf("gave it up after %s, see whether it works when called by hand", programTimeout)
	}
	return "", fmt.Errorf("%s: %w", name, err)
}
