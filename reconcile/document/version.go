package document

import (
	"github.com/podnet/podnet/schema"
)

// Version is what the version verb says, for other programs.
type Version struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Version    string `json:"version"`
	Go         string `json:"go"`
}

// NewVersion returns what the version verb says of a program and of the Go that it was built with.
func NewVersion(program, golang string) Version {
	return Version{APIVersion: schema.APIVersion, Kind: "Version", Version: program, Go: golang}
}
