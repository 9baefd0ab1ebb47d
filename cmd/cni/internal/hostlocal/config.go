// Package hostlocal is the host-local IPAM plugin: addresses out of ranges in its configuration, kept in a lease store on
// this node. The bridge plugin calls it in its own process.
package hostlocal

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/ipam"
)

// Type is what ipam.type calls this plugin.
const Type = "host-local"

const defaultDataDir = "/var/lib/cni/networks"

// file is the configuration as it is written.
type file struct {
	IPAM *struct {
		rangeFile
		Ranges     [][]rangeFile  `json:"ranges"`
		Routes     []*types.Route `json:"routes"`
		ResolvConf string         `json:"resolvConf"`
		DataDir    string         `json:"dataDir"`
	} `json:"ipam"`
	RuntimeConfig struct {
		IPRanges [][]rangeFile `json:"ipRanges"`
		IPs      []string      `json:"ips"`
	} `json:"runtimeConfig"`
	Args struct {
		CNI struct {
			IPs []string `json:"ips"`
		} `json:"cni"`
	} `json:"args"`
}

type rangeFile struct {
	Subnet     netip.Prefix `json:"subnet"`
	RangeStart netip.Addr   `json:"rangeStart"`
	RangeEnd   netip.Addr   `json:"rangeEnd"`
	Gateway    netip.Addr   `json:"gateway"`
}

func parse(req *protocol.Request) (*file, error) {
	f := &file{}
	if err := json.Unmarshal(req.Config, f); err != nil {
		return nil, protocol.Errorf(protocol.CodeDecode, "ipam configuration: %w", err)
	}
	if f.IPAM == nil {
		return nil, protocol.Errorf(protocol.CodeConfig, "IPAM config missing 'ipam' key")
	}
	return f, nil
}

// store is the one of the request's network.
func (f *file) store(req *protocol.Request) (*ipam.Store, error) {
	dir := f.IPAM.DataDir
	if dir == "" {
		dir = defaultDataDir
	}
	s, err := ipam.Open(filepath.Join(dir, req.Network))
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeIO, "lease store: %w", err)
	}
	if !s.BootKnown() {
		fmt.Fprintln(os.Stderr, "host-local: the boot id (/proc/sys/kernel/random/boot_id) cannot be read: leases of earlier boots are kept")
	}
	return s, nil
}

// sets are all range sets in their order: the runtime's, the one of the older top-level fields, those of ranges.
func (f *file) sets() ([]ipam.Set, error) {
	written := f.RuntimeConfig.IPRanges
	if f.IPAM.Subnet.IsValid() {
		written = append(written, []rangeFile{f.IPAM.rangeFile})
	}
	written = append(written, f.IPAM.Ranges...)
	if len(written) == 0 {
		return nil, protocol.Errorf(protocol.CodeConfig, "no IP ranges specified: set ipam.ranges")
	}
	sets := make([]ipam.Set, len(written))
	for i, w := range written {
		for _, r := range w {
			sets[i] = append(sets[i], ipam.Range{Subnet: r.Subnet, First: r.RangeStart, Last: r.RangeEnd, Gateway: r.Gateway})
		}
	}
	sets, err := ipam.Normalize(sets)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeConfig, "invalid %w", err)
	}
	return sets, nil
}

// requested are the addresses asked for by name, wherever the runtime says so.
func (f *file) requested(args map[string]string) ([]netip.Addr, error) {
	var texts []string
	if ip := args["IP"]; ip != "" {
		texts = append(texts, ip)
	}
	texts = append(texts, f.Args.CNI.IPs...)
	texts = append(texts, f.RuntimeConfig.IPs...)
	var addrs []netip.Addr
	for _, text := range texts {
		bare, _, _ := strings.Cut(text, "/")
		a, err := netip.ParseAddr(bare)
		if err != nil {
			return nil, protocol.Errorf(protocol.CodeConfig, "requested address %q: %w", text, err)
		}
		if a = a.Unmap(); !contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

func contains(addrs []netip.Addr, a netip.Addr) bool {
	for _, b := range addrs {
		if a == b {
			return true
		}
	}
	return false
}
