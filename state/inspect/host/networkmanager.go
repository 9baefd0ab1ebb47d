package host

import (
	"path/filepath"
	"strings"
)

// NetworkManager is what it is told to leave alone.
type NetworkManager struct {
	Runs bool

	unmanaged []string // device specifications
}

func readNetworkManager(root string) NetworkManager {
	m := NetworkManager{Runs: runs(root, "NetworkManager.service")}
	all := withDropIns(root, filepath.Join(root, "/etc/NetworkManager/NetworkManager.conf"), "NetworkManager/conf.d")
	matches := map[string]string{}
	for _, s := range all {
		switch device := strings.HasPrefix(s.section, "device"); {
		case s.section == "keyfile" && s.key == "unmanaged-devices":
			m.unmanaged = specifications(s.value)
		case s.section == "keyfile" && s.key == "unmanaged-devices+":
			m.unmanaged = append(m.unmanaged, specifications(s.value)...)
		case device && s.key == "match-device":
			matches[s.section] = s.value
		}
	}
	for section, devices := range matches {
		if no(last(all, section, "managed")) {
			m.unmanaged = append(m.unmanaged, specifications(devices)...)
		}
	}
	return m
}

func specifications(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ';' || r == ',' })
}

// Manages says whether it may take a device for its own.
func (m NetworkManager) Manages(d Device) bool {
	managed := true
	for _, spec := range m.unmanaged {
		spec, except := strings.CutPrefix(strings.TrimSpace(spec), "except:")
		if specified(spec, d) {
			if except {
				return true
			}
			managed = false
		}
	}
	return managed
}

func specified(spec string, d Device) bool {
	if spec == "*" {
		return true
	}
	key, value, _ := strings.Cut(spec, ":")
	switch key {
	case "interface-name":
		return anyGlob([]string{strings.TrimPrefix(strings.TrimPrefix(value, "="), "~")}, d.Name)
	case "driver", "type":
		return anyGlob([]string{value}, d.Kind)
	}
	return false
}
