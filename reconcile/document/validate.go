package document

import (
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
)

// Validation is what is wrong with a topology, for other programs.
type Validation struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	File       string         `json:"file"`
	Valid      bool           `json:"valid"`
	Errors     []schema.Fault `json:"errors"`
	Warnings   []schema.Fault `json:"warnings"`
	Nodes      int            `json:"nodes"`
	// errors beyond those listed, of a file that is wrong throughout
	Omitted int `json:"omitted,omitempty"`

	Guard *reconcile.Guard `json:"guard,omitempty"` // nil: it was not asked
}

// NewValidation returns what is wrong with a file that has so many nodes. Its lists are empty, not
// null, where nothing is.
func NewValidation(file string, faults, warnings []schema.Fault, nodes int) Validation {
	v := Validation{
		APIVersion: schema.APIVersion, Kind: "Validation", File: file, Valid: len(faults) == 0,
		Errors: faults, Warnings: warnings, Nodes: nodes,
	}
	if v.Errors == nil {
		v.Errors = []schema.Fault{}
	}
	if v.Warnings == nil {
		v.Warnings = []schema.Fault{}
	}
	return v
}
