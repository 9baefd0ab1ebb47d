package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Each way in which a file can change is noticed by events: the deadline is far below the interval
// of the polling.
func TestWatchFiles(t *testing.T) {
	const deadline = poll / 2
	for _, c := range []struct {
		name   string
		change func(dir string) error
	}{
		{"rename over it", func(dir string) error {
			tmp := filepath.Join(dir, "etc/podnet/.tmp")
			if err := os.WriteFile(tmp, []byte("new"), 0o644); err != nil {
				return err
			}
			return os.Rename(tmp, filepath.Join(dir, "etc/podnet/topology.yaml"))
		}},
		{"write in place", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "etc/podnet/topology.yaml"), []byte("new"), 0o644)
		}},
		{"removed", func(dir string) error { return os.Remove(filepath.Join(dir, "etc/podnet/topology.yaml")) }},
		{"directory swapped by a link", func(dir string) error {
			if err := os.Symlink("v2", filepath.Join(dir, "etc/.new")); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, "etc/.new"), filepath.Join(dir, "etc/podnet"))
		}},
		{"behind the link", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "etc/v1/topology.yaml"), []byte("new"), 0o644)
		}},
		{"parents removed and made again", func(dir string) error {
			if err := os.RemoveAll(filepath.Join(dir, "etc")); err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Join(dir, "etc/podnet"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "etc/podnet/topology.yaml"), []byte("new"), 0o644)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, v := range []string{"etc/v1", "etc/v2"} {
				must(t, os.MkdirAll(filepath.Join(dir, v), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, v, "topology.yaml"), []byte(v), 0o644))
			}
			must(t, os.Symlink("v1", filepath.Join(dir, "etc/podnet")))
			path := filepath.Join(dir, "etc/podnet/topology.yaml")
			pokes := WatchFiles(t.Context(), slog.New(slog.DiscardHandler), path)
			before, _ := os.ReadFile(path)
			must(t, c.change(dir))
			end := time.After(deadline)
			for { // the last of the pokes is the one that has to see the change
				select {
				case <-pokes:
					if after, _ := os.ReadFile(path); string(after) != string(before) {
						return
					}
				case <-end:
					t.Fatal("not noticed")
				}
			}
		})
	}
}

// A host without inotify instances gets its files polled until it has one.
func TestFilesArePolled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topology.yaml")
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: limit.Max})) // no file can be opened, such as an inotify instance
	var said strings.Builder
	pokes := WatchFiles(t.Context(), slog.New(slog.NewTextHandler(&said, nil)), path)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	if !strings.Contains(said.String(), "polled") {
		t.Errorf("said %q", &said)
	}
	t.Parallel() // the others need not wait
	var noticed []time.Time
	for i := range 3 {
		must(t, os.WriteFile(path, []byte(strings.Repeat("x", i)), 0o644))
		select {
		case <-pokes:
			noticed = append(noticed, time.Now())
		case <-time.After(3 * poll):
			t.Fatalf("change %d not noticed", i)
		}
	}
	if took := noticed[2].Sub(noticed[0]); took > poll { // two polls at least
		t.Errorf("still polled: two changes noticed in %s", took)
	}
}

// A change beside the files costs nothing.
func TestWatchIgnoresNeighbours(t *testing.T) {
	dir := t.TempDir()
	pokes := WatchFiles(t.Context(), slog.New(slog.DiscardHandler), filepath.Join(dir, "topology.yaml"))
	must(t, os.WriteFile(filepath.Join(dir, "topology.yaml~"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "4913"), nil, 0o644))
	select {
	case <-pokes:
		t.Error("an editor's own file is taken for the topology")
	case <-time.After(4 * settle):
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
