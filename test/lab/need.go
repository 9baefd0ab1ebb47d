package lab

import (
	"os"
	"strings"
	"testing"
)

// NeedUsers skips a test that needs other users than root, which a user namespace of one user's has
// not got.
func NeedUsers(t testing.TB) {
	t.Helper()
	ranges, err := os.ReadFile("/proc/self/uid_map")
	if f := strings.Fields(string(ranges)); err == nil && len(f) == 3 && f[2] == "1" {
		t.Skip("needs more users than the one of this user namespace: root")
	}
}
