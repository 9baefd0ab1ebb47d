package schema

import (
	_ "embed"
	"slices"
)

//go:generate go test -run ^TestJSONSchema$ -update .

// The schema is made from the file types by a test, and not here, so that no program carries the
// generator: what a package imports is most of a small program's start.
//
//go:embed topology.schema.json
var jsonSchema []byte

// JSONSchema is the JSON Schema of the topology file, draft 2020-12, for editors and for other
// programs. It knows the fields and the values each can hold; what concerns several fields at once
// only Parse knows.
func JSONSchema() []byte { return slices.Clone(jsonSchema) }
