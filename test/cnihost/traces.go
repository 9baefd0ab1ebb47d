package cnihost

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Leases are the names of the lease files of a network, in the layout of host-local that other
// tools read.
func (h *Host) Leases(network string) []string {
	entries, err := os.ReadDir(filepath.Join(h.Dir, network))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.TB.Fatalf("%v", err)
	}
	var names []string
	for _, e := range entries {
		if _, err := netip.ParseAddr(e.Name()); err == nil {
			names = append(names, e.Name())
		}
	}
	return names
}

// Traces are all that the plugins can leave on the host, one a line. Empty chains and tables that
// the firewall's tools make for everybody are none.
func (h *Host) Traces() string {
	var all []string
	for _, link := range h.Objects(h.Namespace, "ip -j link") {
		all = append(all, fmt.Sprintf("link %v master %v", link["ifname"], link["master"]))
	}
	for _, link := range h.Objects(h.Namespace, "ip -j addr") {
		for _, a := range link["addr_info"].([]any) {
			if a := a.(map[string]any); a["scope"] != "link" {
				all = append(all, fmt.Sprintf("address %v/%v on %v", a["local"], a["prefixlen"], link["ifname"]))
			}
		}
	}
	for _, n := range h.Objects(h.Namespace, "ip -j neigh show") {
		_, stays := n["extern_learn"]
		if stays || slices.Contains(n["state"].([]any), any("PERMANENT")) { // the kernel collects all others
			all = append(all, fmt.Sprintf("neighbour %v on %v", n["dst"], n["dev"]))
		}
	}
	all = append(all, h.Firewall()...)
	networks, err := os.ReadDir(h.Dir)
	if err != nil {
		h.TB.Fatalf("%v", err)
	}
	for _, network := range networks {
		if !network.IsDir() {
			continue
		}
		for _, lease := range h.Leases(network.Name()) {
			all = append(all, fmt.Sprintf("lease %s/%s", network.Name(), lease))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// Firewall is every rule, every element of a set or map, and every chain that is no hook of the
// kernel's.
func (h *Host) Firewall() []string {
	var ruleset struct {
		Nftables []map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(h.Must("nft -j list ruleset")), &ruleset); err != nil {
		h.TB.Fatalf("nft: %v", err)
	}
	var all []string
	for _, o := range ruleset.Nftables {
		for kind, fields := range o {
			name := fmt.Sprintf("%s %v %v %v%v", kind, fields["family"], fields["table"], fields["chain"], fields["name"])
			switch {
			case kind == "rule":
				all = append(all, name+" "+h.rule(fields["expr"]))
			case kind == "chain" && fields["hook"] == nil, fields["elem"] != nil:
				all = append(all, fmt.Sprint(name, " ", fields["elem"]))
			}
		}
	}
	return all
}

// SameTraces compares two results of Traces; the error names what is left and what is gone.
func SameTraces(what, after, before string) error {
	var faults []string
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, line := range is {
		if !slices.Contains(was, line) {
			faults = append(faults, "left: "+line)
		}
	}
	for _, line := range was {
		if !slices.Contains(is, line) {
			faults = append(faults, "gone: "+line)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s: %s", what, strings.Join(faults, "; "))
	}
	return nil
}

// rule is a rule's text without its counters, which count whatever passes.
func (h *Host) rule(expressions any) string {
	list, _ := expressions.([]any)
	list = slices.DeleteFunc(list, func(e any) bool {
		o, _ := e.(map[string]any)
		_, counter := o["counter"]
		return counter
	})
	text, err := json.Marshal(list)
	if err != nil {
		h.TB.Fatalf("%v", err)
	}
	return string(text)
}
