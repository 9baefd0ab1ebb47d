package kernel

import "testing"

// The table's limit is the machine's, so that no namespace can fill it for a test.
func TestTracking(t *testing.T) {
	for _, c := range []struct {
		t          Tracking
		full, near bool
	}{{Tracking{0, 0}, false, false}, {Tracking{79, 100}, false, false}, {Tracking{80, 100}, false, true}, {Tracking{100, 100}, true, true}, {Tracking{101, 100}, true, true}} {
		if c.t.Full() != c.full || c.t.Near() != c.near || (len(c.t.conflicts()) == 1) != c.full {
			t.Errorf("%+v: full %v, near %v, conflicts %+v", c.t, c.t.Full(), c.t.Near(), c.t.conflicts())
		}
	}
	if got := (Tracking{50, 50}).Remedy(); got != "sysctl -w net/netfilter/nf_conntrack_max=200" {
		t.Errorf("remedy %s", got)
	}
}
