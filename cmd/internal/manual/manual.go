// Package manual writes the manual pages of the programs for the packages, out of what --help says.
//
// The generator that cobra has prints a flag's default where its value's name belongs (--confirm=0,
// --node="", --force[=false]), adds pages for each shell of completion, and has no place for the
// sections on files and exit codes.
package manual

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Write puts a program's page into a directory, and one for each of its verbs. sections is Markdown
// for the end of the program's own page, each section beginning with "# ". The date is
// SOURCE_DATE_EPOCH, or today.
func Write(dir string, program *cobra.Command, sections string) error {
	date, err := date()
	if err != nil {
		return err
	}
	if err := write(dir, program, date, sections); err != nil {
		return err
	}
	for _, verb := range verbs(program) {
		if err := write(dir, verb, date, fmt.Sprintf("# SEE ALSO\n\n**%s**(8)\n", program.Name())); err != nil {
			return err
		}
	}
	return nil
}

func date() (string, error) {
	when := time.Now()
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return "", fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		when = time.Unix(seconds, 0)
	}
	return when.UTC().Format(time.DateOnly), nil
}

// verbs are those that --help shows, and none that cobra adds to explain itself.
func verbs(program *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range program.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			all = append(all, c)
		}
	}
	return all
}

func write(dir string, c *cobra.Command, date, sections string) error {
	name := title(c)
	var page bytes.Buffer
	fmt.Fprintf(&page, "%% %q \"8\" %q \"podnet\" \"podnet\"\n", strings.ToUpper(name), date)
	fmt.Fprintf(&page, "# NAME\n\n%s - %s\n\n# SYNOPSIS\n\n**%s**%s\n\n", name, c.Short, c.CommandPath(),
		strings.TrimPrefix(synopsis(c), c.CommandPath()))
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	fmt.Fprintf(&page, "# DESCRIPTION\n\n%s\n\n", long)
	section(&page, "COMMANDS", commands(c))
	section(&page, "OPTIONS", options(c.NonInheritedFlags()))
	section(&page, "OPTIONS OF EVERY COMMAND", options(c.InheritedFlags()))
	if c.Example != "" {
		section(&page, "EXAMPLES", strings.ReplaceAll("\n"+c.Example, "\n  ", "\n    ")+"\n\n")
	}
	page.WriteString(sections)
	return os.WriteFile(filepath.Join(dir, name+".8"), md2man.Render(page.Bytes()), 0o644)
}

func title(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// synopsis is the way to call a command: a program with verbs wants one.
func synopsis(c *cobra.Command) string {
	if c.HasAvailableSubCommands() {
		return c.CommandPath() + " *command* [flags]"
	}
	return c.UseLine()
}

func section(page *bytes.Buffer, name, content string) {
	if content != "" {
		fmt.Fprintf(page, "# %s\n\n%s", name, content)
	}
}

// commands lists the pages of a program's verbs.
func commands(c *cobra.Command) string {
	var b strings.Builder
	for _, verb := range verbs(c) {
		fmt.Fprintf(&b, "**%s**(8)\n: %s\n\n", title(verb), verb.Short)
	}
	return b.String()
}

// options lists flags with the names of their values, and their defaults if they have one.
func options(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if f.Shorthand != "" {
			fmt.Fprintf(&b, "**-%s**, ", f.Shorthand)
		}
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(&b, "**--%s**", f.Name)
		if value != "" {
			fmt.Fprintf(&b, " *%s*", value)
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0s" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(&b, "\n: %s\n\n", usage)
	})
	return b.String()
}
