package files

import "testing"

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		ranges string
		id     uint32
		want   bool
	}{
		{"         0          0 4294967295\n", 65534, true},
		{"         0      65534          1\n", 65534, false},
		{"         0      65534          1\n", 0, true},
		{"0 1000 1\n1 100000 65536\n", 65534, true},
		{"0 1000 1\n1 100000 65536\n", 65537, false},
		{"", 7, false},
	} {
		if got := holds(c.ranges, c.id); got != c.want {
			t.Errorf("%q holds %d: %t", c.ranges, c.id, got)
		}
	}
}
