package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/podnet/podnet/cmd/internal/options"
	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/state/shell"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// Exit codes of every verb.
const (
	exitYes   = 0
	exitNo    = 1 // differences, invalid, refused, not in sync
	exitError = 2 // a mistake in the command, or podnetctl could not find the answer
)

// errNo is the answer no from a verb that has said why on standard output: pass.go returns it for
// apply, rollback and gc, topology.go for files, and the other verbs for what they found.
var errNo = errors.New("no")

// run is podnetctl but for the surroundings; it returns the exit code.
func run(args []string, p process) int {
	c := &cli{process: p}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	checkArguments(root)
	err := root.Execute()
	var no *agent.Refusal
	switch {
	case err == nil:
		return exitYes
	case errors.Is(err, errNo):
		return exitNo
	case errors.As(err, &no):
		c.complain("%v", err)
		return exitNo
	}
	c.complain("%v", err)
	return exitError
}

// complain writes a diagnostic. Names in it that pods and other programs chose reach no terminal as
// they are.
func (c *cli) complain(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf("podnetctl: "+format, args...), "\n") {
		fmt.Fprintln(c.err, shell.Printable(strings.ReplaceAll(line, "\t", "  ")))
	}
}

// cli is one invocation.
type cli struct {
	process
	shared        *options.Options
	progress      *bar // of work under a lock
	output, color string
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "podnetctl",
		Short: "The pod network of this node, as the cluster topology file says",
		Long: `podnetctl checks a cluster topology, says what it would change on this node and why, changes it,
and says how the node is. Results are on standard output, diagnostics on standard error.
Exit codes of every command: 0 done or yes; 1 the answer is no; 2 an error.

--topology, --node, --root and --cni-... can also be set in the environment (PODNET_TOPOLOGY and
so on) or in /etc/default/podnetd, which podnetd reads too.`,
		Example: `  podnetctl validate topology.yaml     every fault in it, with its line
  podnetctl diff topology.yaml         what it would change on this node
  podnetctl apply topology.yaml        change it
  podnetctl status                     how this node is
  podnetctl explain --all --probe      whether it reaches its peers`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.check(cmd.Name()) },
		RunE:              withoutVerb,
	}
	shared := pflag.NewFlagSet("shared", pflag.ContinueOnError)
	c.shared = options.Register(shared, "f")
	root.PersistentFlags().AddFlagSet(shared)
	root.PersistentFlags().StringVarP(&c.output, "output", "o", "text", "`FORMAT`: text or json; of fleet also html")
	root.PersistentFlags().StringVar(&c.color, "color", "auto", "`WHEN`: auto, always or never")
	root.SetUsageTemplate(strings.NewReplacer("FlagUsages", fmt.Sprint("FlagUsagesWrapped ", helpWidth),
		"{{if .Runnable}}", "{{if and .Runnable .HasParent}}").Replace(root.UsageTemplate()))
	addGroup(root, "A topology file:", c.validate(), c.allocate(), c.render(), c.schema())
	addGroup(root, "This node, to look at:", c.status(), c.diff(), c.explain(), c.pods(), c.doctor())
	addGroup(root, "This node, to change:", c.apply(), c.confirm(), c.rollback(), c.install(), c.gc(), c.teardown())
	addGroup(root, "Many nodes:", c.fleet())
	root.AddCommand(c.await(), c.version())
	root.AddCommand(c.manual()...)
	explainMistakes(root)
	return root
}

// withoutVerb shows the help to whoever says nothing at all. Flags without a verb, and a verb where
// it counts as none, are mistakes: a script must not take the help for an answer.
func withoutVerb(root *cobra.Command, args []string) error {
	if len(args) == 0 && root.Flags().NFlag() == 0 {
		return root.Help()
	}
	if len(args) > 0 && args[0] != "" {
		return fmt.Errorf("%q comes behind --: write podnetctl %s (podnetctl --help lists the commands)", args[0], args[0])
	}
	return errors.New("no command: write podnetctl COMMAND (podnetctl --help lists them)")
}

// helpWidth is that of the other screens, columns.
const helpWidth = 98

// addGroup adds verbs that --help shows together.
func addGroup(root *cobra.Command, title string, verbs ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, v := range verbs {
		v.GroupID = title
	}
	root.AddCommand(verbs...)
}

// checkArguments has cobra's own verbs refuse what they do not know. They take over the outputs
// that root has by then.
func checkArguments(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, verb := range root.Commands() {
		switch verb.Name() {
		case "help":
			verb.Args = topic
		case "completion": // only what runs has its arguments checked
			verb.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// topic refuses help on a verb that does not exist, which cobra calls a success.
func topic(cmd *cobra.Command, args []string) error {
	_, _, err := cmd.Root().Find(args)
	return err
}

// explainMistakes has what is wrong with a command line say what to write instead.
func explainMistakes(root *cobra.Command) {
	root.SetFlagErrorFunc(func(verb *cobra.Command, err error) error {
		return fmt.Errorf("%w (%s --help lists the flags)", options.FlagError(err), verb.CommandPath())
	})
	for _, verb := range root.Commands() {
		fits := verb.Args
		verb.Args = func(verb *cobra.Command, args []string) error {
			if fits == nil || fits(verb, args) == nil {
				return nil
			}
			return fmt.Errorf("wrong number of arguments, %d: write %s", len(args), verb.UseLine())
		}
	}
}

// check looks at the flags that every verb has. A page is what fleet alone can write.
func (c *cli) check(verb string) error {
	if c.output != "text" && c.output != "json" && (c.output != "html" || verb != "fleet") {
		return fmt.Errorf("--output %s: write text or json", c.output)
	}
	if c.color != "auto" && c.color != "always" && c.color != "never" {
		return fmt.Errorf("--color %s: write auto, always or never", c.color)
	}
	return nil
}

func (c *cli) settings() (agent.Settings, error) { return c.shared.Resolve(c.env) }

func (c *cli) json() bool { return c.output == "json" }

// writeJSON writes one document of the machine-readable output.
func (c *cli) writeJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// style is what standard output can show.
func (c *cli) style() screen.Style {
	s := screen.Style{Colour: c.color == "always"}
	f := c.terminal()
	if f == nil {
		return s
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		s.Width = width
	}
	s.Colour = s.Colour || c.color == "auto" && c.value("NO_COLOR") == "" && c.value("TERM") != "dumb"
	return s
}

// value returns an environment variable, or "" if it is not set.
func (c *cli) value(name string) string {
	value, _ := c.env(name)
	return value
}
