package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/files"
	"github.com/spf13/cobra"
)

func (c *cli) allocate() *cobra.Command {
	ip := ""
	cmd := &cobra.Command{
		Use:   "allocate [NODE [--ip IP]] [FILE|-]",
		Short: "Give nodes their podCIDRs, in the topology file",
		Long: `allocate writes the next podCIDRs out of network.clusterCIDRs, those after the highest in use,
into the entry of NODE or of every node that has none. With --ip a NODE that is not in the file
is added, and nodeCount, if there, is raised. Everything else in the file stays as it is,
comments and order included; a node that has podCIDRs keeps them. FILE - reads standard input and
writes standard output. A single argument is FILE if it is -, contains / or ends in .yaml, .yml
or .json, else NODE.

Exit codes: 0 done, or nothing to do; 1 refused or exhausted, nothing was written; 2 an error.`,
		Example: `  podnetctl allocate topology.yaml
  podnetctl allocate node-d --ip 192.0.2.14 topology.yaml
  podnetctl allocate node-d --ip 192.0.2.14 - < topology.yaml > new.yaml`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return c.runAllocate(args, ip) },
	}
	cmd.Flags().StringVar(&ip, "ip", "", "the `IP` at which the others reach a NODE that is to be added")
	return cmd
}

func (c *cli) runAllocate(args []string, ip string) error {
	ask, files, err := allocateRequest(args, ip)
	if err != nil {
		return err
	}
	s, err := c.settings()
	if err != nil {
		return err
	}
	name := append(files, c.topologyName(s.Paths))[0]
	if name == stdin {
		return c.allocateFilter(ask)
	}
	path, err := rewritable(name)
	if err != nil {
		return unreadable(err, name, s.Paths)
	}
	var a *schema.Allocation
	err = c.underLock(path, func() (err error) { // two at a time would hand out the same podCIDRs
		a, err = c.allocateIn(name, path, ask)
		return err
	})
	if err != nil {
		return err
	}
	if c.json() {
		return c.writeJSON(document.NewAllocation(a))
	}
	return screen.WriteAllocation(c.out, c.style(), a)
}

// rewritable is the path of the regular file behind a name.
func rewritable(name string) (string, error) {
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", withRemedy(err, name)
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = files.NoFileError(name, info.Mode())
	}
	return path, err
}

// allocateRequest tells NODE from FILE.
func allocateRequest(args []string, ip string) (ask schema.Request, files []string, err error) {
	if len(args) > 0 && (len(args) == 2 || !isFileArgument(args[0])) {
		ask.Node, args = args[0], args[1:]
	}
	switch {
	case ip == "":
		return ask, args, nil
	case ask.Node == "":
		return ask, args, errors.New("--ip: say whose it is: podnetctl allocate NODE --ip IP")
	}
	if ask.IP, err = netip.ParseAddr(ip); err != nil {
		err = fmt.Errorf("--ip %s: write the node's IPv4 or IPv6 address", ip)
	}
	return ask, args, err
}

func isFileArgument(s string) bool {
	if s == stdin || strings.Contains(s, "/") {
		return true
	}
	for _, ending := range []string{".yaml", ".yml", ".json"} {
		if strings.HasSuffix(s, ending) {
			return true
		}
	}
	return false
}

// allocateFilter is allocate between standard input and standard output, where nothing but the file
// goes.
func (c *cli) allocateFilter(ask schema.Request) error {
	if c.json() {
		return errors.New("-o json: with - the topology itself goes to standard output")
	}
	data, err := io.ReadAll(io.LimitReader(c.in, schema.MaxBytes+1))
	if err != nil {
		return err
	}
	a, err := schema.Allocate(stdin, data, ask)
	if err != nil {
		return c.notAllocated(c.err, err)
	}
	if _, err := c.out.Write(a.Text); err != nil {
		return err
	}
	return screen.WriteAllocation(c.err, screen.Style{}, a)
}

// allocateIn writes into the file at path; name is what the operator calls it.
func (c *cli) allocateIn(name, path string, ask schema.Request) (*schema.Allocation, error) {
	data, err := rollout.ReadTopology(path)
	if err != nil {
		return nil, err
	}
	a, err := schema.Allocate(name, data, ask)
	if err != nil {
		return nil, c.notAllocated(c.out, err)
	}
	if len(a.Given) == 0 {
		return a, nil
	}
	return a, rollout.PutInPlace(path, a.Text)
}

// notAllocated says of an invalid file what is wrong with it, on out or as a document.
func (c *cli) notAllocated(out io.Writer, err error) error {
	if refused, ok := errors.AsType[*schema.RefusedError](err); ok {
		return &agent.Refusal{Reason: refused.Message}
	}
	where := *c
	where.out = out
	return where.invalid(err)
}
