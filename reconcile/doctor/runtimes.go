package doctor

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state/runtimes"
	"github.com/podnet/podnet/state/shell"
)

// The findings about plugins, which status has a line of its own for.
const (
	PluginMissing = "plugin-missing"
	PluginLocked  = "plugin-not-executable"
)

// Runtimes is what the container runtimes of the host are told of CNI, and what each finds of the
// plugins.
type Runtimes struct {
	Lookups []runtimes.Lookup // one without a name is of a directory that a flag names, or of the default
	Faults  []runtimes.Fault
}

// CheckRuntimes says what keeps the host's runtimes from podnet's plugins and from its conflist.
func CheckRuntimes(f Subject) []document.Finding {
	var out []document.Finding
	for _, l := range f.Runtimes.Lookups {
		out = append(out, f.plugins(l)...)
		if l.Name == "" {
			continue
		}
		out = append(out, f.confDir(l)...)
		out = append(out, f.onlyNetwork(l)...)
		out = append(out, f.furtherNetworks(l)...)
	}
	for _, fault := range f.Runtimes.Faults {
		if !fault.Denied {
			out = append(out, unknown(fault))
		}
	}
	return out
}

// by is whose directory it is, and what says so.
func by(r runtimes.Runtime) string {
	return fmt.Sprintf("%s, by %s", r.Name, cmp.Or(r.Config, "its own defaults"))
}

// worth is an error for what every pod depends on. Beside a runtime that kubelets speak to, one
// that takes a network by its name is worth a warning.
func (f Subject) worth(r runtimes.Runtime) document.Severity {
	if !r.CRI && slices.ContainsFunc(f.Runtimes.Lookups, func(l runtimes.Lookup) bool { return l.CRI }) {
		return document.SeverityWarning
	}
	return document.SeverityError
}

func (f Subject) plugins(l runtimes.Lookup) []document.Finding {
	var out []document.Finding
	severity, owner, effect := document.SeverityError, "the container runtime's directory", "no pod can start"
	if l.Name != "" {
		severity, owner, effect = f.worth(l.Runtime), by(l.Runtime), "no pod of "+l.Name+" can start"
	}
	if len(l.Missing) > 0 {
		out = append(out, document.Finding{
			ID: PluginMissing, Severity: severity, Object: strings.Join(l.PluginDirs, ", "), Owner: owner,
			Message: "it lacks " + strings.Join(l.Missing, ", ") + ": " + effect,
			Remedy:  "podnetctl install --cni-bin-dir " + shell.Quote(l.Target),
		})
	}
	for _, path := range l.Locked {
		out = append(out, document.Finding{
			ID: PluginLocked, Severity: severity, Object: path, Owner: "whoever put it there or changed its mode",
			Message: "nobody may execute it: " + effect,
			Remedy:  "chmod a+x " + shell.Quote(path),
		})
	}
	return out
}

// confDir: a runtime that reads another directory never sees podnet's conflist. Podnet follows it
// there, unless another runtime reads the directory of podnet's conflist: then that directory is to
// be both's.
func (f Subject) confDir(l runtimes.Lookup) []document.Finding {
	if l.Reads {
		return nil
	}
	message := fmt.Sprintf("it reads this directory, and podnet's conflist is %s", f.Paths.Conflist)
	remedy := f.follow(l)
	if slices.ContainsFunc(f.Runtimes.Lookups, func(o runtimes.Lookup) bool { return o.Name != "" && o.Reads }) {
		message += ", where another runtime needs it"
		dir := shell.Quote(l.ConfDir)
		remedy = fmt.Sprintf("mkdir -p %s && rmdir %s && ln -s %s %s", dir, dir,
			shell.Quote(filepath.Dir(f.Paths.Conflist)), dir)
		if unit := units()[l.Name]; unit != "" {
			remedy += " && systemctl try-restart " + unit
		}
	}
	return []document.Finding{{
		ID: "conflist-elsewhere", Severity: f.worth(l.Runtime), Object: l.ConfDir, Owner: by(l.Runtime),
		Message: message,
		Remedy:  remedy,
	}}
}

// units are the services of runtimes that watch a directory.
func units() map[string]string {
	return map[string]string{"containerd": "containerd", "CRI-O": "crio", "Nomad": "nomad"}
}

// follow has podnet write its conflist where a runtime reads. Its unit may write below some
// directories only.
func (f Subject) follow(l runtimes.Lookup) string {
	remedy := fmt.Sprintf("mkdir -p %s %s && ", shell.Quote(l.ConfDir), shell.Quote(filepath.Dir(f.Paths.Defaults)))
	writable := func(dir string) bool { return strings.HasPrefix(l.ConfDir, filepath.Join("/", f.Paths.Root, dir)+"/") }
	if !slices.ContainsFunc([]string{"/etc", "/run", "/var/lib"}, writable) {
		remedy += f.write("/etc/systemd/system/podnetd.service.d/cni-conf-dir.conf", "[Service]",
			"ReadWritePaths="+l.ConfDir) + " && systemctl daemon-reload && "
	}
	remedy += fmt.Sprintf("echo PODNET_CNI_CONF_DIR=%s >>%s", shell.Quote(l.ConfDir), shell.Quote(f.Paths.Defaults))
	switch {
	case f.Daemon:
		remedy += " && systemctl try-restart podnetd"
	case f.Plan != nil:
		remedy += " && podnetctl apply"
	}
	return remedy + " && rm -f " + shell.Quote(f.Paths.Conflist)
}

// onlyNetwork: CRI-O may be told to take one network only.
func (f Subject) onlyNetwork(l runtimes.Lookup) []document.Finding {
	name := f.Network
	if l.Network == "" || name == "" || l.Network == name {
		return nil
	}
	return []document.Finding{{
		ID: "conflist-network", Severity: document.SeverityError, Object: "cni_default_network", Owner: by(l.Runtime),
		Message: fmt.Sprintf("it gives pods the network %q only, and podnet's is %q", l.Network, name),
		Remedy: f.write("/etc/crio/crio.conf.d/zz-podnet.conf", "[crio.network]",
			fmt.Sprintf("cni_default_network = %q", name)) + " && systemctl try-restart crio",
	}}
}

// furtherNetworks: a runtime that takes several configurations gives each pod an interface for
// each.
func (f Subject) furtherNetworks(l runtimes.Lookup) []document.Finding {
	dir, ours := filepath.Split(f.Paths.Conflist)
	if !l.CRI || l.MaxConfs == 1 || !l.Reads {
		return nil
	}
	taken := f.Host.Conflists
	if l.MaxConfs > 0 {
		taken = taken[:min(len(taken), l.MaxConfs)]
	}
	var out []document.Finding
	for _, name := range taken {
		if name > ours { // one before it is an error by itself
			path := shell.Quote(filepath.Join(dir, name))
			out = append(out, document.Finding{
				ID: "conflist-further", Severity: document.SeverityWarning, Object: filepath.Join(dir, name), Owner: by(l.Runtime),
				Message: fmt.Sprintf("max_conf_num is %d: it adds each pod to this network too", l.MaxConfs),
				Remedy:  "mv " + path + " " + path + ".disabled",
			})
		}
	}
	return out
}

// unknown: a file that its own runtime cannot read either has to be mended by who knows what it
// should say.
func unknown(fault runtimes.Fault) document.Finding {
	look := "ls -lL " + shell.Quote(fault.Path)
	if fault.Line > 0 {
		look = fmt.Sprintf("sed -n %dp %s", fault.Line, shell.Quote(fault.Path))
	}
	object := fault.Path
	if fault.Line > 0 {
		object = fmt.Sprintf("%s:%d", fault.Path, fault.Line)
	}
	return document.Finding{
		ID: "runtime-config", Severity: document.SeverityError, Object: object, Owner: fault.Runtime,
		Message: fault.Problem + "; where " + fault.Runtime +
			" looks for plugins and conflists is not known (mend the file; to see it:)",
		Remedy: look,
	}
}
