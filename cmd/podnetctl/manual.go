//go:build manual

package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manual is for building packages: it writes the manual pages of all verbs. The programs that are shipped do without it
// and the libraries that it takes.
func (c *cli) manual() []*cobra.Command {
	return []*cobra.Command{{
		Use: "manual DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Section: "8", Source: "podnet", Manual: "podnet"}, args[0])
		},
	}}
}
