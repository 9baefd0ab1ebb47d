package host

import (
	"cmp"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Device is a link as the configuration of other programs matches it.
type Device struct{ Name, Kind string }

// Networkd is what systemd-networkd and udev are told to do with links that they did not make.
type Networkd struct {
	Runs          bool
	ForeignRoutes bool        // it removes routes that it did not make
	Networks      []MatchFile // .network files, in their order
	Links         []MatchFile // .link files, which udev reads
}

// MatchFile is a .network or .link file: the first that matches a device counts.
type MatchFile struct {
	Path      string
	MACPolicy string // MACAddressPolicy, or "fixed" for MACAddress
	Unmanaged bool

	match []setting
}

func readNetworkd(root string) Networkd {
	n := Networkd{Runs: runs(root, "systemd-networkd.service"), ForeignRoutes: true}
	main := ""
	for _, layer := range layers(root) {
		if _, err := os.Stat(filepath.Join(layer, "systemd/networkd.conf")); err == nil && main == "" {
			main = filepath.Join(layer, "systemd/networkd.conf")
		}
	}
	all := withDropIns(root, main, "systemd/networkd.conf.d")
	n.ForeignRoutes = !no(last(all, "Network", "ManageForeignRoutes"))
	n.Networks, n.Links = matchFiles(root, ".network"), matchFiles(root, ".link")
	return n
}

func matchFiles(root, suffix string) []MatchFile {
	var out []MatchFile
	for _, p := range layered(root, "systemd/network", suffix) {
		all := withDropIns(root, p, "systemd/network/"+filepath.Base(p)+".d")
		if len(all) == 0 { // masked
			continue
		}
		m := MatchFile{Path: p, MACPolicy: last(all, "Link", "MACAddressPolicy"),
			Unmanaged: yes(last(all, "Link", "Unmanaged"))}
		if last(all, "Link", "MACAddress") != "" {
			m.MACPolicy = "fixed"
		}
		for _, s := range all {
			if s.section == "Match" && s.key != "" {
				m.match = append(m.match, s)
			}
		}
		out = append(out, m)
	}
	return out
}

// First is the file that counts for a device; nil: none does.
func First(files []MatchFile, d Device) *MatchFile {
	for i := range files {
		if files[i].matches(d) {
			return &files[i]
		}
	}
	return nil
}

// matches: every condition has to hold. One that a software device of podnet's cannot meet, such as
// a bus path, does not.
func (m *MatchFile) matches(d Device) bool {
	for _, s := range m.match {
		have := ""
		switch s.key {
		case "Name", "OriginalName":
			have = d.Name
		case "Kind", "Driver":
			have = d.Kind
		case "Type":
			have = map[string]string{"veth": "ether"}[d.Kind]
			have = cmp.Or(have, d.Kind)
		}
		if have == "" || !anyGlob(strings.Fields(s.value), have) {
			return false
		}
	}
	return true
}

// anyGlob matches a list of shell patterns; a leading ! turns all of them round.
func anyGlob(patterns []string, name string) bool {
	negated := len(patterns) > 0 && strings.HasPrefix(patterns[0], "!")
	if negated {
		patterns = append([]string{patterns[0][1:]}, patterns[1:]...)
	}
	for _, p := range patterns {
		if is, err := path.Match(p, name); is && err == nil {
			return !negated
		}
	}
	return negated
}
