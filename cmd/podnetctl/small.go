package main

import (
	"fmt"
	"runtime"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
	"github.com/spf13/cobra"
)

func (c *cli) schema() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the topology file, for editors",
		Example: "  podnetctl schema > topology.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := c.out.Write(schema.JSONSchema())
			return err
		},
	}
}

func (c *cli) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if c.json() {
				return c.writeJSON(document.NewVersion(version, runtime.Version()))
			}
			_, err := fmt.Fprintln(c.out, "podnetctl", version)
			return err
		},
	}
}
