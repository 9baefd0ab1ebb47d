package rollout

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file is read again when it was touched, and whenever its time does not prove that it was not.
func TestContents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topology.yaml")
	c := contents{}
	read := func() string {
		t.Helper()
		got, err := c.read(path)
		noError(t, err)
		return string(got.data)
	}
	for _, text := range []string{"one", "two", "six"} { // of one size, within a tick
		noError(t, os.WriteFile(path, []byte(text), 0o644))
		if got := read(); got != text {
			t.Fatalf("%q, want %q", got, text)
		}
		if c[path].sure {
			t.Fatal("a file that was just written is taken to be known")
		}
	}
	known := c[path]
	known.sure, known.data = true, []byte("as known")
	c[path] = known // as if it had been read a while after the last write
	if got := read(); got != "as known" {
		t.Errorf("a file that is known is read: %q", got)
	}
	before := known.stamp.changed
	deadline := time.Now().Add(10 * time.Second)
	for c[path].stamp.changed == before && time.Now().Before(deadline) {
		noError(t, os.WriteFile(path, []byte("ten"), 0o644)) // until the file system's clock has gone on
		read()
	}
	if got := read(); got != "ten" {
		t.Errorf("a change of the same size: %q", got)
	}
	noError(t, os.Remove(path))
	if _, err := c.read(path); !os.IsNotExist(err) || len(c) > 0 {
		t.Errorf("without the file: %v", err)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
