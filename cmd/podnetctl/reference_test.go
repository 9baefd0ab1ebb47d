package main

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/test/reference"
	"github.com/spf13/cobra"
)

// TestReference checks that COMMANDS.md is what the commands say of themselves.
func TestReference(t *testing.T) {
	root := (&cli{}).root()
	checkArguments(root) // adds completion
	page := reference.Head("podnetctl: commands and exit codes") + paragraph(root.Long) +
		"`podnetctl COMMAND --help` shows the same, with examples; the package has a manual page for each command. " +
		"The output of `-o json` is described in [DOCUMENTS.md](DOCUMENTS.md).\n\n" +
		"## Flags of every command\n\n" + reference.Flags(root.PersistentFlags())
	for _, group := range root.Groups() {
		page += "## " + strings.TrimSuffix(group.Title, ":") + "\n\n" + commands(root, group.ID)
	}
	reference.Check(t, "COMMANDS.md", strings.TrimSpace(page+"## More\n\n"+commands(root, ""))+"\n")
}

// commands describes the visible commands of a group.
func commands(root *cobra.Command, group string) string {
	var b strings.Builder
	for _, c := range root.Commands() {
		if c.GroupID != group || !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		b.WriteString("### " + strings.TrimSuffix(c.UseLine(), " [flags]") + "\n\n" + c.Short + ".\n\n")
		b.WriteString(paragraph(c.Long) + reference.Flags(c.NonInheritedFlags()))
	}
	return b.String()
}

// paragraph is text in which only empty lines are breaks.
func paragraph(text string) string {
	if text == "" {
		return ""
	}
	return strings.NewReplacer("<", "&lt;", "*", `\*`).Replace(strings.TrimSpace(text)) + "\n\n"
}
