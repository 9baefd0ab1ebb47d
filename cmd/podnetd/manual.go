//go:build manual

package main

import (
	"github.com/podnet/podnet/cmd/internal/manual"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// operand is for building packages: it writes the manual page into the directory that is the
// argument. The podnetd that is shipped does without it and the libraries that it takes.
func operand(set *pflag.FlagSet) error {
	cmd := &cobra.Command{
		Use:   "podnetd",
		Short: "Keep this node's pod network as the cluster topology file says",
		Long:  about,
		Run:   func(*cobra.Command, []string) {},
	}
	cmd.Flags().AddFlagSet(set)
	return manual.Write(set.Arg(0), cmd, sections)
}

const about = `podnetd compares the network of this node with the topology file, **podnet-topology**(5), and makes it the same: at
the start, whenever the file, the kernel or the CNI configuration changes, and every **--resync**. It is started by
podnetd.service, which gives it the two capabilities that it needs, CAP_NET_ADMIN and CAP_NET_RAW.

A file that is invalid, or that this node cannot follow, is refused: the last good one stays in force, and **podnetctl status**
says why. Without any file podnetd waits for one. Before the first pass systemd takes it as starting; from then on its status
text says how the node is, and its watchdog restarts a loop that stands still.

On **--metrics-addr** it serves /metrics for Prometheus, /healthz (200 while the loop turns) and /readyz (200 while the network
is as the topology in force says). A port that is taken is reported, and the network does without.`

const sections = `# ENVIRONMENT

Every flag may be set in the environment or in /etc/default/podnetd, which podnetctl reads too: PODNET_ and the flag in
upper case, dashes as underscores. A flag comes before the environment, and that before the file.

# SIGNALS

**SIGHUP**
: Compare now.

**SIGTERM**
: End, and leave the network as it is.

# EXIT STATUS

**0**
: After SIGTERM.

**1**
: It could not start, or had to end, and another try may go better: no descriptor or memory to spare, a program of root's
  that holds its socket. podnetd.service tries again.

**2**
: It refuses to start: wrong usage, another podnetd in this network namespace, a missing capability.

# FILES

/etc/podnet/topology.yaml
: The topology.

/var/lib/podnet/last-good.yaml
: The one last in force, used when the file is missing or refused.

/run/podnet/status.json
: The node's status, replaced after every pass.

/etc/cni/net.d/10-podnet.conflist
: What tells the container runtime of the network, put there last.

# SEE ALSO

**podnetctl**(8), **podnet-topology**(5)
`
