package cnihost

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// Timed is Finish, and how long the process took from its exec to its end. Its input and output are
// files in memory: what a caller's pipes take, and the goroutines that copy from them, is not the
// plugin's time.
func (h *Host) Timed(cmd *exec.Cmd) (time.Duration, string, error) {
	h.TB.Helper()
	var files [3]*os.File // standard input, output, error
	for i := range files {
		files[i] = h.memory()
		defer files[i].Close()
	}
	if cmd.Stdin != nil {
		_, err := io.Copy(files[0], cmd.Stdin)
		if _, seek := files[0].Seek(0, io.SeekStart); errors.Join(err, seek) != nil {
			h.TB.Fatalf("%v", errors.Join(err, seek))
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	var begin time.Time
	err := h.Do(func() error {
		begin = time.Now()
		return cmd.Start()
	})
	if err != nil {
		h.TB.Fatalf("%v", err)
	}
	err = cmd.Wait()
	took := time.Since(begin)
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		h.TB.Fatalf("%v", err)
	}
	out, err := said(lab.Output{Stdout: h.written(files[1]), Stderr: h.written(files[2]),
		Code: cmd.ProcessState.ExitCode()})
	return took, out, err
}

func (h *Host) memory() *os.File {
	h.TB.Helper()
	fd, err := unix.MemfdCreate("stdio", unix.MFD_CLOEXEC)
	if err != nil {
		h.TB.Fatalf("memfd: %v", err)
	}
	return os.NewFile(uintptr(fd), "stdio")
}

// written is all that a file holds.
func (h *Host) written(f *os.File) string {
	h.TB.Helper()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	if err != nil {
		h.TB.Fatalf("%v", err)
	}
	return string(data)
}
