package portmap

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Whenever an ADD or a DEL with a record is killed, no rules are left without it; a DEL that comes
// through leaves neither.
func TestKilledLeavesNoRulesWithoutARecord(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		h.records = filepath.Join(t.TempDir(), "records")
		const seed = 2
		random := rand.New(rand.NewPCG(seed, seed))
		owned := func(moment time.Duration) {
			t.Helper()
			// the program of a killed plugin may be about to write, and holds the lock meanwhile
			if err := h.Do(func() error { return withBackends(func(*backends) error { return nil }) }); err != nil {
				t.Fatal(err)
			}
			all, foreign, err := Records(h.records)
			if err != nil || len(foreign) > 0 {
				t.Fatalf("records: %v, foreign %q", err, foreign)
			}
			if rules := h.rules(); strings.Contains(rules, "10001") && len(all) == 0 {
				t.Errorf("killed at %s (seed %d): rules without a record\n%s", moment, seed, rules)
			}
		}
		for range 25 {
			moment := time.Duration(random.IntN(15000)) * time.Microsecond
			h.attempt("ADD", 1, moment)
			owned(moment)
			if fault := h.attempt("ADD", 1, 0); fault != "" {
				t.Error(fault)
			}
			all, _, err := Records(h.records)
			if want := []string{"10001/tcp to 10.1.0.3:80", "10001/udp to 10.1.0.3:80"}; err != nil || len(all) != 1 || !slices.Contains(all[0].Ports, want[0]) || !slices.Contains(all[0].Ports, want[1]) {
				t.Fatalf("records %+v, %v", all, err)
			}
			h.attempt("DEL", 1, moment)
			owned(moment)
			if fault := h.attempt("DEL", 1, 0); fault != "" {
				t.Error(fault)
			}
			same(t, "rules after the DEL", h.rules(), "")
			if entries, err := os.ReadDir(h.records); err != nil || len(entries) > 0 {
				t.Fatalf("after the DEL: %q, %v", entries, err)
			}
		}
	})
}

// What is no record, or was not written whole, is named and read by nobody.
func TestForeignRecords(t *testing.T) {
	d := recordDir(t.TempDir())
	c := &config{SNAT: true, PortMappings: []entry{{HostPort: 8080, ContainerPort: 80}}}
	a, err := c.attach(owner{"net", "id", "eth0"}, map[bool]netip.Prefix{false: netip.MustParsePrefix("10.1.0.2/24")})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.write(recordOf(c, nameNFTables, a)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(d.path(a.owner))
	if err != nil {
		t.Fatal(err)
	}
	if all, foreign, err := Records(string(d)); err != nil || len(all) != 1 || len(foreign) > 0 {
		t.Fatalf("%+v, %q, %v", all, foreign, err)
	}
	var want []string
	for name, text := range map[string]string{
		"torn.json": string(whole[:len(whole)/2]), "empty": "", "copy.json": string(whole),
		"notjson": "\x00\xff", "other.json": `{"network":"net"}`,
	} {
		path := filepath.Join(string(d), name)
		want = append(want, path)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, make := range map[string]func(path string) error{
		"dir":  func(path string) error { return os.Mkdir(path, 0o700) },
		"link": func(path string) error { return os.Symlink(d.path(a.owner), path) },
	} {
		path := filepath.Join(string(d), name)
		want = append(want, path)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	all, foreign, err := Records(string(d))
	if err != nil || len(all) != 1 || !slices.Equal(foreign, want) {
		t.Errorf("%+v, foreign %q, want %q, %v", all, foreign, want, err)
	}
}
