package screen

import "github.com/podnet/podnet/schema"

// Paint colours the report of a checked topology.
func Paint(s Style) schema.Paint {
	if !s.Colour {
		return nil
	}
	return func(part schema.Part, text string) string {
		h := dim
		switch part {
		case schema.PartMark:
			h = alarm
		case schema.PartWarning, schema.PartWarningMark:
			h = yellow
		}
		return "\x1b[" + string(h) + "m" + text + "\x1b[0m"
	}
}
