package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/podnet/podnet/cmd/cni/collect"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/pods"
	"github.com/podnet/podnet/state/shell"
	"github.com/spf13/cobra"
)

// collectTime bounds how long gc waits for pods that are being added or removed.
const collectTime = time.Minute

func (c *cli) gc() *cobra.Command {
	return &cobra.Command{
		Use:   "gc",
		Short: "Release what pods that are gone have left behind on this node",
		Long: `gc releases address leases, host veths and port mappings of podnet's own network whose pod is
gone, which is when its host veth is. Leases that other plugins wrote are listed and kept: nobody
can tell whose they are. podnetd does the same after its start and every ten minutes; the
plugins take the leases of dead pods themselves when no other address is left, in any network;
other networks' leases, rules and veths are else the runtime's to clean up.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runGC(cmd.Context()) },
	}
}

func (c *cli) runGC(ctx context.Context) error {
	n, err := c.open("gc")
	if err != nil {
		return err
	}
	defer n.Close()
	if n.Decision.Topology == nil {
		return fmt.Errorf("which network is podnet's? %s", n.Decision.OnDisk.Message)
	}
	own, err := n.ID.Select(n.Decision.Topology)
	if err != nil {
		return fmt.Errorf("whose pods are these? %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, collectTime)
	defer cancel()
	network := n.Decision.Topology.Network.CNI.Name
	g, err := collect.Run(ctx, n.Kernel(), pods.PodNetwork{Name: network, Node: own.Name, IP: own.IP})
	if errors.As(err, new(*pods.AwayError)) {
		return fmt.Errorf("%w; where the node's pods are: nsenter -t 1 -n podnetctl gc", err)
	}
	if c.json() {
		if bad := c.writeJSON(collected(network, g)); bad != nil {
			return bad
		}
		return err
	}
	return errors.Join(err, writeGarbage(c.out, network, n.Paths, g))
}

func collected(network string, g collect.Garbage) document.Collected {
	return document.Collected{
		APIVersion: schema.APIVersion, Kind: "Collected", Network: network,
		Freed: leases(g.Freed), Veths: g.Veths, Mappings: g.Mappings, Kept: leases(g.Kept),
	}
}

func leases(all []ipam.Lease) []document.Lease {
	out := []document.Lease{}
	for _, l := range all {
		out = append(out, document.Lease{
			Address: l.Addr.String(), ContainerID: l.Owner.ContainerID, IfName: l.Owner.IfName, Since: l.Since,
		})
	}
	return out
}

func writeGarbage(w io.Writer, network string, paths state.Paths, g collect.Garbage) error {
	out := bufio.NewWriter(w) // keeps the first error for Flush
	dir := filepath.Join(paths.IPAMDataDir, network)
	fmt.Fprintf(out, "Network   %s  %s\n", network, dir)
	fmt.Fprintf(out, "Freed     %d leases, %d host veths, %d port mappings\n", len(g.Freed), g.Veths, g.Mappings)
	writeLeases(out, "-", g.Freed)
	if len(g.Kept) > 0 {
		fmt.Fprintf(out, "Kept      of other plugins: %d; if their pods are gone:  rm %s\n", len(g.Kept),
			shell.Quote(filepath.Join(dir, "ADDRESS")))
		writeLeases(out, " ", g.Kept)
	}
	return out.Flush()
}

func writeLeases(out io.Writer, mark string, all []ipam.Lease) {
	for _, l := range all {
		fmt.Fprintf(out, "%s %-15s  %s %s  since %s\n", mark, l.Addr, shell.Printable(short(l.Owner.ContainerID)),
			shell.Printable(l.Owner.IfName), l.Since.UTC().Format(time.RFC3339))
	}
}

// short is as much of a container's id as runtimes print.
func short(id string) string { return id[:min(len(id), 13)] }
