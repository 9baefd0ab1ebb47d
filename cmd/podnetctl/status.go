package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/spf13/cobra"
)

// waitPause is how often status looks again for a program that waits.
const waitPause = 300 * time.Millisecond

// statusFlags are those of status alone.
type statusFlags struct {
	wait   time.Duration
	watch  bool
	digest string
}

func (c *cli) status() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how this node is, by the kernel and by the daemon",
		Long: `status exits with 0 only if the file now on disk is in force, the kernel equals it, the node is ready, podnetd runs and its
last pass is younger than three resyncs.`,
		Example: "  podnetctl status --wait 60s --digest $(sha256sum < /etc/podnet/topology.yaml | cut -d' ' -f1)",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.runStatus(cmd.Context(), f) },
	}
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "wait so long for the answer to be yes")
	cmd.Flags().BoolVar(&f.watch, "watch", false, "look again whenever something changes, until interrupted; a line of JSON each without a terminal")
	cmd.Flags().StringVar(&f.digest, "digest", "", "the topology in force must be this one: a SHA-256, with or without sha256:")
	return cmd
}

func (c *cli) runStatus(ctx context.Context, f statusFlags) error {
	digest, err := fullDigest("--digest", f.digest)
	if err != nil {
		return err
	}
	if f.watch && f.wait > 0 {
		return fmt.Errorf("--watch and --wait exclude each other")
	}
	n, err := c.open("status")
	if err != nil {
		return err
	}
	defer n.close()
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

// fullDigest checks a digest and puts sha256: in front of it: a prefix of one could match by accident.
func fullDigest(flag, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	hex := strings.TrimPrefix(s, "sha256:")
	if len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%s %s: write the 64 hex digits that sha256sum prints", flag, s)
	}
	return "sha256:" + hex, nil
}
