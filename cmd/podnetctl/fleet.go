package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/podnetctl/internal/fleetpage"
	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	aggregate "github.com/podnet/podnet/reconcile/fleet"
	"github.com/podnet/podnet/schema"
	"github.com/spf13/cobra"
)

func (c *cli) fleet() *cobra.Command {
	var expected digest
	cmd := &cobra.Command{
		Use:   "fleet FILE|DIR...",
		Short: "Put together what many nodes say: statuses or plans, as a table or a page",
		Long: `fleet reads what podnetctl status -o json or podnetctl diff -o json has printed on each node, a
file for each (of a DIR those ending in .json), and puts equal ones together. With -f it names
the nodes of the topology that are missing. -o html writes one page with a picture of the
cluster, which needs nothing else to be shown.

Exit codes: 0 everybody is there, in sync, and on the same, expected file; 1 not so; 2 an error.`,
		Example: "  podnetctl fleet -f topology.yaml plans/\n  podnetctl fleet -f topology.yaml -o html statuses/ > fleet.html",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.runFleet(args, string(expected), func() bool { return cmd.Flags().Changed("topology") })
		},
	}
	cmd.Flags().Var(&expected, "expect-digest",
		"the topology they should be on: a `SHA`-256, with or without sha256: (default: that of -f)")
	return cmd
}

// runFleet: hasTopology says, once the settings are resolved, whether anybody named a topology.
func (c *cli) runFleet(args []string, expected string, hasTopology func() bool) error {
	want := aggregate.Expectation{Digest: expected}
	s, err := c.settings()
	if err != nil {
		return err
	}
	if hasTopology() {
		f, err := c.read(c.topologyName(s.Paths), s.Paths, schema.Parse)
		if err != nil {
			return c.invalid(err)
		}
		want.Topology = f.topology
	}
	reports, err := readReports(args, want.Topology != nil)
	if err != nil {
		return err
	}
	status, err := aggregate.New(reports, want)
	if err != nil {
		return err
	}
	if err := c.showFleet(status, want); err != nil {
		return err
	}
	if !status.Good() {
		return errNo
	}
	return nil
}

func (c *cli) showFleet(s *aggregate.Status, want aggregate.Expectation) error {
	switch c.output {
	case "json":
		return c.writeJSON(s.Document())
	case "html":
		return fleetpage.Write(c.out, s, want.Topology)
	}
	return screen.WriteFleet(c.out, c.style(), s)
}

// readReports reads every file, and says of all of them that are none. mayBeNone: somebody knows
// which nodes there should be, and an empty directory says that they are missing.
func readReports(args []string, mayBeNone bool) ([]aggregate.Report, error) {
	files, err := reportFiles(args, mayBeNone)
	if err != nil {
		return nil, err
	}
	var reports []aggregate.Report
	var errs []error
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && len(strings.TrimSpace(string(data))) == 0 {
			err = fmt.Errorf("%s is empty: whoever was to write it could not", file)
		}
		var r aggregate.Report
		if err == nil {
			r, err = aggregate.Read(file, data)
		}
		reports, errs = append(reports, r), append(errs, err)
	}
	return reports, errors.Join(errs...)
}

// reportFiles puts in the place of a directory its files that end in .json.
func reportFiles(args []string, mayBeNone bool) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("%w (name files, or directories of them, that podnetctl status -o json or diff -o json has printed)", err)
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		found, err := filepath.Glob(filepath.Join(escaped(arg), "*.json"))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 && !mayBeNone {
			return nil, fmt.Errorf("%s holds no file that ends in .json (-f names the topology, and its nodes are missing then)", arg)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// escaped is a path without meaning to Glob.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
