package schema

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// request reads the words of podnetctl allocate: [NODE [--ip IP]].
func request(t *testing.T, words string) Request {
	t.Helper()
	var ask Request
	fields := strings.Fields(words)
	if len(fields) > 0 {
		ask.Node = fields[0]
	}
	if len(fields) > 2 {
		ask.IP = netip.MustParseAddr(fields[2])
	}
	return ask
}

// TestAllocate holds each testdata/allocate/*.txtar: a request in the comment's last line, the file
// before, and either what it becomes or why not.
func TestAllocate(t *testing.T) {
	files, err := filepath.Glob("testdata/allocate/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			comment := strings.Split(strings.TrimSpace(string(a.Comment)), "\n")
			before := unescape(a.Files[0].Data)
			got := allocated(before, request(t, strings.TrimPrefix(comment[len(comment)-1], "allocate")))
			if os.Getenv("UPDATE") != "" {
				a.Files = append(a.Files[:1], txtar.File{Name: "after", Data: escape(got)})
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(unescape(a.Files[1].Data)), string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// escape shows carriage returns.
func escape(b []byte) []byte   { return bytes.ReplaceAll(b, []byte("\r"), []byte("<CR>")) }
func unescape(b []byte) []byte { return bytes.ReplaceAll(b, []byte("<CR>"), []byte("\r")) }

// allocated is the new file, or the words of the refusal.
func allocated(before []byte, ask Request) []byte {
	a, err := Allocate("topology.yaml", before, ask)
	var bad *Invalid
	var refused *RefusedError
	switch {
	case err == nil:
		return a.Text
	case errors.As(err, &bad):
		return []byte("invalid: " + bad.Error() + "\n")
	case errors.As(err, &refused):
		return []byte("refused: " + refused.Error() + "\n")
	}
	return []byte("another error: " + err.Error() + "\n")
}
