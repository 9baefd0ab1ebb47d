package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/spf13/cobra"
)

// packaged is where packages put the plugins.
const packaged = "/usr/lib/podnet/cni"

// Installed is what install did, for other programs.
type Installed struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	From       string   `json:"from"`
	To         string   `json:"to"`
	Plugins    []Plugin `json:"plugins"`
}

// Plugin is what became of one.
type Plugin struct {
	Name   string `json:"name"`
	Result string `json:"result"` // installed, unchanged, foreign
}

func (c *cli) install() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Put the CNI plugins into the container runtime's directory",
		Long: `install copies podnet's CNI plugins into --cni-bin-dir, each by a rename, and replaces one of
podnet's that is another or cannot be executed. A file of the same name that is not podnet's is
left and reported, unless --force says otherwise: podnet's conflist runs on the reference plugins
too.`,
		Example: `  podnetctl install
  podnetctl install --cni-bin-dir /usr/libexec/cni`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.runInstall(force) },
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace foreign plugins of the same names")
	return cmd
}

func (c *cli) runInstall(force bool) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	from, err := bundled()
	if err != nil {
		return err
	}
	report := Installed{APIVersion: schema.APIVersion, Kind: "Installed", From: from, To: s.Paths.PluginDir, Plugins: []Plugin{}}
	foreign := false
	for _, name := range plugins() {
		result, err := installPlugin(filepath.Join(from, name), filepath.Join(s.Paths.PluginDir, name), force)
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w (run it as root: sudo podnetctl install)", err)
		}
		if err != nil {
			return err
		}
		if result == "" {
			continue
		}
		foreign = foreign || result == pluginForeign
		report.Plugins = append(report.Plugins, Plugin{name, result})
	}
	if c.json() {
		err = c.writeJSON(report)
	} else {
		err = c.writeInstalled(report)
	}
	if err == nil && foreign {
		err = errNo
	}
	return err
}

// What becomes of a plugin. "" is one that this podnet does not bring.
const (
	pluginInstalled = "installed"
	pluginUnchanged = "unchanged"
	pluginForeign   = "foreign"
)

func installPlugin(from, to string, force bool) (string, error) {
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	have, err := os.ReadFile(to)
	same := err == nil && string(have) == string(data)
	switch {
	case same && runs(to):
		return pluginUnchanged, nil
	case err == nil && !same && !force && !ours(to):
		return pluginForeign, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if err := state.ReplaceFile(to, data, 0o755); err != nil {
		return "", fmt.Errorf("%w (--cni-bin-dir is where the container runtime looks for plugins)", err)
	}
	return pluginInstalled, nil
}

// runs says that the runtime can execute a file, which a copy by hand or a chmod may have taken away.
func runs(path string) bool {
	info, err := os.Stat(path)
	return err == nil && executable(info)
}

// bundled is the directory with podnet's plugins: where packages put them, or beside podnetctl in an unpacked build.
func bundled() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(self), "cni")
	for _, dir := range []string{packaged, beside} {
		if _, err := os.Stat(filepath.Join(dir, plugins()[0])); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no plugins in %s or %s (install the package, or make build)", packaged, beside)
}

func (c *cli) writeInstalled(r Installed) error {
	rows := []screen.Row{{Label: "From", Text: r.From}, {Label: "To", Text: r.To}}
	var kept []string
	for i, p := range r.Plugins {
		row := screen.Row{Text: fmt.Sprintf("%-*s  %s", len("host-local"), p.Name, p.Result), Bad: p.Result == pluginForeign}
		if i == 0 {
			row.Label = "Plugins"
		}
		rows = append(rows, row)
		if p.Result == pluginForeign {
			kept = append(kept, p.Name)
		}
	}
	if len(kept) > 0 {
		rows = append(rows, screen.Row{Label: "Left", Text: fmt.Sprintf(
			"%s: not podnet's; podnet runs on the reference plugins too, or replace them: podnetctl install --force", strings.Join(kept, ", "))})
	}
	return screen.WriteRows(c.out, c.style(), rows)
}
