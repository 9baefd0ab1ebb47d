package schema

import (
	"fmt"
	"strings"
	"testing"
)

// TestUnquotedNames: every unquoted spelling that some reader of YAML takes for something else is
// refused, and is fine in quotes.
func TestUnquotedNames(t *testing.T) {
	const file = "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata: {name: %s}\nnodes: [{name: a, ip: 192.0.2.1}]\n"
	for name := range strings.FieldsSeq("y n yes no on off true false null 0 10 010 0o10 0x10 0b1 1e3 2024-02-29 0777 08") {
		invalid := faultsOf(t, fmt.Appendf(nil, file, name))
		if len(invalid.Faults) != 1 || invalid.Faults[0].Field != "metadata.name" {
			t.Errorf("%s: %v", name, invalid)
		}
		mustParse(t, fmt.Appendf(nil, file, `"`+name+`"`))
	}
	for name := range strings.FieldsSeq("lab none nope offside yesno 1a 10-a e3 0xg") {
		mustParse(t, fmt.Appendf(nil, file, name))
	}
}

func TestIsDecimal(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "10": true, "-1": true, "": false, "-": false, "-0": false, "01": false, "-01": false, "+1": false, "1_0": false,
		"1e3": false, "0x1": false, "1.0": false, " 1": false, "--1": false, "1-": false, "١": false,
	} {
		if got := isDecimal(text); got != want {
			t.Errorf("isDecimal(%q) = %v", text, got)
		}
	}
}
