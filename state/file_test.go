package state

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Many writers of one file, and what a killed one has left: a reader sees one writer's bytes, all of them, and nothing but
// the file is left.
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
