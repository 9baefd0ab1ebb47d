//go:build manual

package main

import (
	"github.com/podnet/podnet/cmd/internal/manual"
	"github.com/spf13/cobra"
)

// manual is for building packages: it writes the manual pages of all verbs. The programs that are
// shipped do without it and the libraries that it takes.
func (c *cli) manual() []*cobra.Command {
	return []*cobra.Command{{
		Use: "manual DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return manual.Write(args[0], cmd.Root(), sections) },
	}}
}

const sections = `# EXIT STATUS

**0**
: Done, or yes.

**1**
: The answer is no: differences, invalid, refused, not in sync, broken, exhausted.

**2**
: An error, or wrong usage.

# ENVIRONMENT

**PODNET_TOPOLOGY**, **PODNET_NODE**, **PODNET_ROOT**, **PODNET_CNI_CONF_DIR**, **PODNET_CNI_CONF_NAME**, **PODNET_CNI_BIN_DIR**
: Instead of the flags of these names. They may stand in /etc/default/podnetd too. A flag comes before the environment, and that
  before the file.

**NO_COLOR**
: If it is set to anything, text is not coloured, unless **--color always** is given.

# FILES

/etc/podnet/topology.yaml
: The topology of this node.

/var/lib/podnet/last-good.yaml
: The last topology in force. /var/lib/podnet/pending holds what a trial has to put back.

/run/podnet/status.json
: What **podnetd**(8) says of its part.

/usr/share/doc/podnet/cmd/podnetctl/README.md
: Troubleshooting, by symptom.

# SEE ALSO

**podnetd**(8), **podnet-topology**(5)
`
