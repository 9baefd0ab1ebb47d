package files

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What another user has put in the way, so as to own what is put in place, is not written into, and
// its lock not waited for.
func TestReplaceFileOwnsWhatItWrites(t *testing.T) {
	dir := t.TempDir()
	path, tmp, other := filepath.Join(dir, "bundle"), filepath.Join(dir, ".bundle.new"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("another's"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, trap := range map[string]func() error{
		"another's file": func() error {
			if err := os.WriteFile(tmp, nil, 0o644); err != nil {
				return err
			}
			return os.Chown(tmp, 1000, 1000)
		},
		"a second name": func() error { return os.Link(other, tmp) },
	} {
		if err := trap(); errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) { // a user namespace has one user
			t.Logf("%s: %v", name, err)
			os.Remove(tmp)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		lock, err := os.Open(tmp)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		patience := time.AfterFunc(5*time.Second, func() { lock.Close() })
		if err := ReplaceFile(path, []byte(name), 0o600); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !patience.Stop() {
			t.Errorf("%s: waited for a lock that is not its own", name)
		}
		lock.Close()
		info, err := os.Stat(path)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if data, err := os.ReadFile(other); err != nil || string(data) != "another's" {
			t.Errorf("%s: wrote %q into another file, %v", name, data, err)
		}
	}
}

// Many writers of one file, and what a killed one has left: a reader sees one writer's bytes, all
// of them, and nothing but the file is left.
func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "topology.yaml")
	if err := os.WriteFile(filepath.Join(dir, ".topology.yaml.new"), bytes.Repeat([]byte("left"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			for range 50 {
				if err := ReplaceFile(path, bytes.Repeat([]byte{byte('a' + i)}, 1000*i+1), 0o644); err != nil {
					t.Error(err)
				}
				data, err := os.ReadFile(path)
				if err != nil || len(data) != 1000*int(data[0]-'a')+1 || len(bytes.Trim(data, string(data[:1]))) > 0 {
					t.Errorf("%d bytes, %v", len(data), err)
				}
			}
		})
	}
	writers.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A directory in the place of a file stays, and the error says how to get it out of the way.
func TestReplaceFileBesideADirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "the status.json")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	err := ReplaceFile(path, []byte("{}\n"), 0o644)
	if want := "mv '" + path + "' '" + path + ".old'"; err == nil || !strings.Contains(err.Error(), "is a directory, not a file") || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// A temporary file goes if it is this user's and nobody is at it, and only the one of that name.
func TestRemoveTemporary(t *testing.T) {
	dir := t.TempDir()
	path, tmp, beside := filepath.Join(dir, "file"), filepath.Join(dir, ".file.new"), filepath.Join(dir, ".file2.new")
	remains := func(what string, want bool) {
		t.Helper()
		if err := RemoveTemporary(path); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Lstat(tmp); (err == nil) != want {
			t.Errorf("%s: it is there: %v, want %v", what, err == nil, want)
		}
	}
	remains("nothing", false)
	for _, name := range []string{tmp, beside} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writer, err := openTemporary(tmp)
	if err != nil {
		t.Fatal(err)
	}
	remains("a writer is at it", true)
	writer.Close()
	if err := os.Link(tmp, filepath.Join(dir, "second")); err != nil {
		t.Fatal(err)
	}
	remains("a second name", true)
	if err := os.Remove(filepath.Join(dir, "second")); err != nil {
		t.Fatal(err)
	}
	remains("its writer was killed", false)
	if _, err := os.Stat(beside); err != nil {
		t.Error(err)
	}
}

// A lock that anybody can have on what a killed writer has left, and links and pipes that are no
// files, do not keep a file from being replaced; nor does a writer that has stopped keep the next
// one waiting for ever.
func TestReplaceFileBesideSquatters(t *testing.T) {
	dir := t.TempDir()
	path, tmp := filepath.Join(dir, "status.json"), filepath.Join(dir, ".status.json.new")
	lock := func(mode os.FileMode) (*os.File, error) {
		if err := errors.Join(os.WriteFile(tmp, []byte("half"), mode), os.Chmod(tmp, mode)); err != nil {
			return nil, err
		}
		f, err := os.Open(tmp)
		if err != nil {
			return nil, err
		}
		return f, syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	for name, squat := range map[string]func() (*os.File, error){
		"a lock on what others can read": func() (*os.File, error) { return lock(0o644) },
		"a link":                         func() (*os.File, error) { return nil, os.Symlink(filepath.Join(dir, "elsewhere"), tmp) },
		"a pipe":                         func() (*os.File, error) { return nil, syscall.Mkfifo(tmp, 0o644) },
	} {
		held, err := squat()
		if err != nil {
			t.Fatal(err)
		}
		if err := ReplaceFile(path, []byte(name), 0o644); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != name {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		if held != nil {
			held.Close()
		}
	}
	stopped, err := lock(0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close()
	if err := ReplaceFile(path, []byte("next"), 0o644); err == nil || !strings.Contains(err.Error(), "fuser -v "+tmp) {
		t.Errorf("beside a writer that has stopped: %v", err)
	}
}
