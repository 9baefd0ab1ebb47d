package document

import (
	"encoding/json"
	"testing"
)

// Before the first pass has ended a status says little, and whoever counts what it says finds
// nothing, not null.
func TestNewStatusHasItsLists(t *testing.T) {
	b, err := json.Marshal(NewNodeStatus())
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

// A newer podnetd may say more than this program knows, which must not count for or against the
// node.
func TestDecodeNewerStatus(t *testing.T) {
	s, err := DecodeStatus([]byte(`{"node":"node-a","news":{"a":1},"conditions":[{"type":"NodeDrained","status":"True"},{"type":"Ready","status":"True"}]}`))
	if err != nil || s.Node != "node-a" || len(s.Conditions) != 1 || s.Conditions[0].Type != Ready {
		t.Errorf("%v, %+v", err, s)
	}
}
