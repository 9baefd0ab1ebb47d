package reference

import (
	"regexp"
	"testing"
)

// TestPlugins checks that cmd/cni/REFERENCE.md has every code of a plugin's error.
func TestPlugins(t *testing.T) {
	code := regexp.MustCompile(`(?m)^\tCode\w+\s+uint = (\d+)(?: +// (.*))?$`)
	var rows [][]string
	for _, found := range code.FindAllStringSubmatch(read(t, "cmd/cni/internal/protocol/errors.go"), -1) {
		if found[2] == "" {
			t.Errorf("errors.go says nothing of the code %s", found[1])
		}
		rows = append(rows, found[1:])
	}
	if len(rows) < 10 {
		t.Errorf("%d codes found", len(rows))
	}
	Check(t, root+"/cmd/cni/REFERENCE.md", Head("CNI plugins: exit statuses and error codes")+
		"`bridge`, `host-local`, `loopback` and `portmap` speak CNI 0.1.0 to 1.1.0 and take the configuration of the reference\n"+
		"plugins of the same names.\n\n"+
		"Exit status 0: the call has succeeded, and standard output has its result, if it has one. Exit status 1: standard\n"+
		"output has an error object of the CNI specification with one of these codes; those from 100 on are podnet's own.\n\n"+
		Table([]string{"code", "meaning"}, rows))
}
