package doctor

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state/inspect/host"
	"github.com/podnet/podnet/state/shell"
)

// networkd: it removes what it did not make, unless it is told not to.
func networkd(f Subject) []document.Finding {
	if !f.Host.Networkd.Runs {
		return nil
	}
	const owner = "systemd-networkd"
	var out []document.Finding
	if f.Host.Networkd.ForeignRoutes {
		out = append(out, document.Finding{
			ID: "networkd-foreign-routes", Severity: document.SeverityError, Object: "ManageForeignRoutes", Owner: owner,
			Message: "removes podnet's routes whenever it starts or a link changes",
			Remedy: f.write("/etc/systemd/networkd.conf.d/10-podnet.conf", "[Network]", "ManageForeignRoutes=no",
				"ManageForeignRoutingPolicyRules=no") +
				" && systemctl restart systemd-networkd",
		})
	}
	for _, d := range f.devices() {
		if m := host.First(f.Host.Networkd.Networks, d); m != nil && !m.Unmanaged {
			return append(out, document.Finding{
				ID: "networkd-manages", Severity: document.SeverityError, Object: m.Path, Owner: owner,
				Message: fmt.Sprintf("matches %s: it takes podnet's addresses off the device and puts its own on", d.Name),
				Remedy: f.write("/etc/systemd/network/"+ahead(f.Host.Networkd.Networks, ".network"), "[Match]", "Name="+f.names(),
					"[Link]", "Unmanaged=yes") +
					" && networkctl reload",
			})
		}
	}
	return out
}

// macPolicy: udev gives a device another MAC than podnet's if the policy is random or the address
// fixed. It leaves one that was set at creation alone under the policy persistent, which is the
// default; only a device that podnet took over, or a plugin's veth of a random MAC, changes under
// that.
func macPolicy(f Subject) []document.Finding {
	for _, d := range f.devices() {
		m := host.First(f.Host.Networkd.Links, d)
		if m == nil {
			continue
		}
		severity, message := document.SeverityError, "gives %s another MAC than podnet's: peers' frames are lost"
		switch m.MACPolicy {
		case "random", "fixed":
		case "persistent":
			if strings.HasPrefix(m.Path, filepath.Join(f.Paths.Root, "/usr/")) { // the distribution's default: not meant for podnet
				continue
			}
			severity, message = document.SeverityWarning, "gives %s another MAC if it was not made by podnet"
		default:
			continue
		}
		return []document.Finding{{
			ID: "mac-address-policy", Severity: severity, Object: m.Path, Owner: "udev",
			Message: fmt.Sprintf(message, d.Name),
			Remedy: f.write("/etc/systemd/network/"+ahead(f.Host.Networkd.Links, ".link"), "[Match]", "OriginalName="+f.names(),
				"[Link]", "MACAddressPolicy=none") +
				" && udevadm control --reload",
		}}
	}
	return nil
}

func networkManager(f Subject) []document.Finding {
	if !f.Host.Manager.Runs {
		return nil
	}
	for _, d := range f.devices() {
		if f.Host.Manager.Manages(d) {
			return []document.Finding{{
				ID: "networkmanager-manages", Severity: document.SeverityWarning, Object: d.Name, Owner: "NetworkManager",
				Message: "is not told to leave podnet's devices alone: it may take them down or put addresses on them",
				Remedy: f.write("/etc/NetworkManager/conf.d/zz-podnet.conf", "[keyfile]",
					fmt.Sprintf("unmanaged-devices+=interface-name:%s;interface-name:%s;interface-name:veth*", f.Bridge, f.Tunnel)) +
					" && systemctl reload NetworkManager",
			}}
		}
	}
	return nil
}

// writable: who can change what podnet reads as root rules the network, and with plugins the host.
func writable(f Subject) []document.Finding {
	var out []document.Finding
	for _, u := range f.Untrusted {
		out = append(out, document.Finding{
			ID: "file-writable", Severity: document.SeverityWarning, Object: u.Path, Owner: "the host's file system",
			Message: u.Why + ", and podnet does as it says",
			Remedy:  u.Remedy,
		})
	}
	return out
}

func (f Subject) names() string { return f.Bridge + " " + f.Tunnel + " veth*" }

// ahead is a file name that sorts before all that are there.
func ahead(files []host.MatchFile, suffix string) string {
	name := ""
	for _, stem := range []string{"10-podnet", "05-podnet", "00-podnet", "0-podnet"} {
		if name = stem + suffix; len(files) == 0 || name < filepath.Base(files[0].Path) {
			break
		}
	}
	return name
}

// write is a command that writes lines into a file.
func (f Subject) write(path string, lines ...string) string {
	path = filepath.Join("/", f.Paths.Root, path)
	return fmt.Sprintf(`mkdir -p %s && printf '%s\n' > %s`, shell.Quote(filepath.Dir(path)), strings.Join(lines, `\n`),
		shell.Quote(path))
}
