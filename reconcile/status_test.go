package reconcile

import (
	"encoding/json"
	"testing"
)

// Before the first pass has ended a status says little, and whoever counts what it says finds nothing, not null.
func TestNewStatusHasItsLists(t *testing.T) {
	b, err := json.Marshal(newStatus())
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	for name, value := range s {
		if value == nil && name != "daemon" {
			t.Errorf("%s is null", name)
		}
	}
}
