package document

import (
	"slices"

	"github.com/podnet/podnet/schema"
)

// Findings is what doctor says, for other programs.
type Findings struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Node       string    `json:"node"`
	Findings   []Finding `json:"findings"`
	Unseen     []string  `json:"unseen"` // what could not be looked at, and why
}

// Severity is how bad a finding is.
type Severity string

// The severities: something does not work, or will not; something may, or is open to abuse.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Finding is one thing in podnet's way.
type Finding struct {
	ID       string   `json:"id"` // what sort of thing: the same for every host
	Severity Severity `json:"severity"`
	Object   string   `json:"object"` // what it is about, by name
	Owner    string   `json:"owner"`  // whose it is, as far as one can tell
	Message  string   `json:"message"`
	Remedy   string   `json:"remedy"` // a command that ends it when pasted
}

// Broken reports whether one of the findings is an error.
func Broken(all []Finding) bool {
	return slices.ContainsFunc(all, func(f Finding) bool { return f.Severity == SeverityError })
}

// NewFindings returns what doctor says of a node.
func NewFindings(node string, all []Finding, unseen []string) Findings {
	return Findings{APIVersion: schema.APIVersion, Kind: "Findings", Node: node, Findings: all, Unseen: unseen}
}
