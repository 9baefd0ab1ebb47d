package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/runtimes"
	"github.com/spf13/cobra"
)

// packaged is where packages put the plugins.
const packaged = "/usr/lib/podnet/cni"

func (c *cli) install() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Put the CNI plugins into the container runtime's directory",
		Long: `install copies podnet's CNI plugins to where this host's container runtimes look for plugins:
into --cni-bin-dir, or without it where the configuration of containerd, CRI-O, nerdctl or podman
says (bin_dir, plugin_dirs, cni_path, cni_plugin_dirs), or into /opt/cni/bin if there is none of
them. Each is put in place by a rename, and replaces one of podnet's that is another or cannot be
executed. A file of the same name that is not podnet's is left and reported, unless --force says
otherwise: podnet's conflist runs on the reference plugins too.`,
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
	targets, err := installTargets(s.Paths)
	if err != nil {
		return err
	}
	report := document.Installed{APIVersion: schema.APIVersion, Kind: "Installed", From: from, To: targets[0],
		Also: targets[1:], Plugins: []document.InstalledPlugin{}}
	for _, dir := range targets {
		done, err := installInto(from, dir, force)
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w (run it as root: sudo podnetctl install)", err)
		}
		if err != nil {
			return err
		}
		report.Plugins = append(report.Plugins, done...)
	}
	missing, others := troubles(s.Paths, "", lookups(s.Paths))
	report.Notes = append(missing, others...)
	if c.json() {
		err = c.writeJSON(report)
	} else {
		err = c.writeInstalled(report)
	}
	if err == nil &&
		slices.ContainsFunc(report.Plugins, func(p document.InstalledPlugin) bool { return p.Result == pluginForeign }) {
		err = errNo
	}
	return err
}

// installTargets are the directories that runtimes look in. Where the only runtimes of this host
// have files that cannot be read, any directory would be a guess.
func installTargets(p state.Paths) ([]string, error) {
	if p.PluginDir != "" {
		return []string{p.PluginDir}, nil
	}
	host := runtimes.Read(p.Root)
	if len(host.Runtimes) == 0 && len(host.Faults) > 0 {
		return nil, fmt.Errorf("where %s looks for plugins is not known: %w (mend the file, or say where: podnetctl install --cni-bin-dir DIR)",
			host.Faults[0].Runtime, host.Faults[0])
	}
	return host.Targets(p.Root), nil
}

func installInto(from, dir string, force bool) ([]document.InstalledPlugin, error) {
	if err := isPlace(dir); err != nil {
		return nil, err
	}
	var done []document.InstalledPlugin
	for _, name := range plugins() {
		result, err := installPlugin(filepath.Join(from, name), filepath.Join(dir, name), force)
		if err != nil {
			return nil, err
		}
		if result != "" {
			done = append(done, document.InstalledPlugin{Name: name, Dir: dir, Result: result})
		}
	}
	return done, nil
}

// isPlace says what speaks against putting files into a directory, which need not exist yet.
func isPlace(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil: // it will be made
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		target, _ := os.Readlink(dir)
		if info, err = os.Stat(dir); err != nil {
			return fmt.Errorf("%s is a symbolic link to %s, which is not there (make that directory, or remove the link)",
				dir, target)
		}
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory (remove it, or say where the runtime looks: --cni-bin-dir)", dir)
	}
	return nil
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
	if err := files.ReplaceFile(to, data, 0o755); err != nil {
		return "", fmt.Errorf("%w (--cni-bin-dir is where the container runtime looks for plugins)", err)
	}
	return pluginInstalled, nil
}

// runs says that the runtime can execute a file, which a copy by hand or a chmod may have taken
// away.
func runs(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// bundled is the directory with podnet's plugins: where packages put them, or beside podnetctl in
// an unpacked build.
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

func (c *cli) writeInstalled(r document.Installed) error {
	rows := []screen.Row{{Label: "From", Text: r.From}}
	var kept []string
	for _, dir := range append([]string{r.To}, r.Also...) {
		rows = append(rows, screen.Row{Label: "To", Text: dir})
		label := "Plugins"
		for _, p := range r.Plugins {
			if p.Dir != dir {
				continue
			}
			rows = append(rows,
				screen.Row{Label: label, Text: fmt.Sprintf("%-*s  %s", len("host-local"), p.Name, p.Result),
					Bad: p.Result == pluginForeign})
			label = ""
			if p.Result == pluginForeign {
				kept = including(kept, p.Name)
			}
		}
	}
	if len(kept) > 0 {
		rows = append(rows, screen.Row{Label: "Left", Text: fmt.Sprintf(
			"%s: not podnet's; podnet runs on the reference plugins too, or replace them: podnetctl install --force",
			strings.Join(kept, ", "))})
	}
	for _, note := range r.Notes {
		rows = append(rows, screen.Row{Label: "Note", Text: note, Bad: true})
	}
	return screen.WriteRows(c.out, c.style(), rows)
}
