package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/podnet/podnet/cmd/internal/options"
	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/spf13/cobra"
)

// waitPause is how often status looks again for a program that waits.
const waitPause = 300 * time.Millisecond

// statusFlags are those of status alone.
type statusFlags struct {
	wait   time.Duration
	watch  bool
	digest digest
}

func (c *cli) status() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how this node is, by the kernel and by the daemon",
		Long: `status looks at the kernel itself, and adds what podnetd says of its part. It takes no lock.

Exit codes: 0 only if the file now on disk is in force, the kernel equals it, the node is Ready,
no trial is pending, and podnetd runs and its last pass is younger than three resyncs; 1 not so;
2 an error.`,
		Example: `  podnetctl status
  podnetctl status --watch
  podnetctl status --wait 60s --digest $(sha256sum < topology.yaml | cut -d' ' -f1)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runStatus(cmd.Context(), f) },
	}
	options.Duration(cmd.Flags(), &f.wait, "wait", 0, 0, "wait for the answer to be yes, at most so long")
	cmd.Flags().BoolVar(&f.watch, "watch", false,
		"a live screen, until interrupted; without a terminal a line of JSON for each change")
	cmd.Flags().Var(&f.digest, "digest", "the topology in force must be this one: a `SHA`-256, with or without sha256:")
	return cmd
}

func (c *cli) runStatus(ctx context.Context, f statusFlags) error {
	digest := string(f.digest)
	if f.watch && f.wait > 0 {
		return fmt.Errorf("--watch and --wait exclude each other")
	}
	n, err := c.open("status")
	if err != nil {
		return err
	}
	defer n.Close()
	if f.watch {
		return c.watch(ctx, n, digest)
	}
	deadline := time.Now().Add(f.wait)
	s, err := n.look(digest)
	for err == nil && len(s.Answer) > 0 && time.Now().Before(deadline) {
		time.Sleep(min(waitPause, time.Until(deadline)))
		s, err = n.look(digest)
	}
	if err != nil {
		return err
	}
	return c.showStatus(n, s)
}

// look is a look at the node for a screen. The answer is no unless the topology in force has the
// digest; "" is any.
func (n *node) look(digest string) (screen.Status, error) {
	seen, err := n.See()
	if err != nil {
		return screen.Status{}, err
	}
	s := screen.Status{NodeStatus: seen.Status, Now: seen.At, Answer: n.Answer(seen, digest), Pods: seen.Pods}
	if !seen.DaemonRuns {
		s.NoDaemon = n.noDaemon(s.Now)
	}
	if t := n.Followed(); t != nil {
		s.Tunnel, s.Network = t.Network.VXLAN, t.Network.CNI.Name
	}
	if seen.Plan != nil {
		s.Facts = seen.Plan.Facts
	}
	return s, nil
}

func (c *cli) showStatus(n *node, s screen.Status) error {
	var err error
	if c.json() {
		err = c.writeJSON(s.NodeStatus)
	} else {
		n.furnish(&s)
		err = screen.WriteStatus(c.out, c.style(), s)
	}
	if err == nil && len(s.Answer) > 0 {
		err = errNo
	}
	return err
}

// digest is a flag's value: whole, with sha256: in front of it; "": the flag was not given. A
// prefix of one could match by accident, and what is empty comes of a command that failed.
type digest string

// Set takes what sha256sum prints, with or without sha256: in front of it.
func (d *digest) Set(s string) error {
	hex := strings.TrimPrefix(s, "sha256:")
	if len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return errors.New("write the 64 hex digits that sha256sum prints")
	}
	*d = digest("sha256:" + hex)
	return nil
}

func (d *digest) String() string { return string(*d) }

// Type is what the flag's help calls its value.
func (d *digest) Type() string { return "SHA" }
