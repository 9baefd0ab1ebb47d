// Package hostlocal is the host-local IPAM plugin: addresses out of ranges in its configuration,
// kept in a lease store on this node. The bridge plugin calls it in its own process.
package hostlocal

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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
	kind       string        // the type of the plugin that the addresses are for
	old        rangeFile     // the older top-level fields
	ranges     [][]rangeFile // those of ranges
	ipRanges   [][]rangeFile // the runtime's
	routes     []*types.Route
	resolvConf string
	dataDir    string
	ips        []string // asked for by name, in args.cni and by the runtime
}

type rangeFile struct {
	Subnet                        netip.Prefix
	RangeStart, RangeEnd, Gateway netip.Addr
}

func parse(req *protocol.Request) (*file, error) {
	f := &file{dataDir: defaultDataDir}
	o := protocol.ReadObject("ipam configuration", req.Config)
	o.String("type", &f.kind)
	ipam, runtime := o.Object("ipam"), o.Object("runtimeConfig")
	f.old = readRange(ipam)
	f.ranges, f.ipRanges = readRanges(ipam.Lists("ranges")), readRanges(runtime.Lists("ipRanges"))
	ipam.Any("routes", &f.routes)
	ipam.String("resolvConf", &f.resolvConf)
	ipam.String("dataDir", &f.dataDir)
	var ips []string
	o.Object("args").Object("cni").Any("ips", &f.ips)
	runtime.Any("ips", &ips)
	f.ips = append(f.ips, ips...)
	if err := o.Err(); err != nil {
		return nil, err
	}
	if o.Raw("ipam") == nil {
		return nil, protocol.Errorf(protocol.CodeConfig, "IPAM config missing 'ipam' key")
	}
	return f, nil
}

func readRanges(lists [][]protocol.Object) [][]rangeFile {
	var sets [][]rangeFile
	for _, list := range lists {
		set := []rangeFile{}
		for _, o := range list {
			set = append(set, readRange(o))
		}
		sets = append(sets, set)
	}
	return sets
}

func readRange(o protocol.Object) (r rangeFile) {
	o.Text("subnet", &r.Subnet)
	o.Text("rangeStart", &r.RangeStart)
	o.Text("rangeEnd", &r.RangeEnd)
	o.Text("gateway", &r.Gateway)
	return r
}

// dir is where the leases of the request's network are.
func (f *file) dir(req *protocol.Request) string {
	dir := f.dataDir
	if dir == "" {
		dir = defaultDataDir
	}
	return filepath.Join(dir, req.Network)
}

// store is the one of the request's network.
func (f *file) store(req *protocol.Request) (*ipam.Store, error) {
	s, err := ipam.Open(f.dir(req))
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeIO, "lease store: %w", err)
	}
	if !s.BootKnown() {
		fmt.Fprintln(os.Stderr, "host-local: the boot id (/proc/sys/kernel/random/boot_id) cannot be read: leases of earlier boots are kept")
	}
	return s, nil
}

// sets are all range sets in their order: the runtime's, the one of the older top-level fields,
// those of ranges.
func (f *file) sets() ([]ipam.Set, error) {
	written := slices.Clone(f.ipRanges)
	if f.old.Subnet.IsValid() {
		written = append(written, []rangeFile{f.old})
	}
	written = append(written, f.ranges...)
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
	texts = append(texts, f.ips...)
	var addrs []netip.Addr
	for _, text := range texts {
		bare, _, _ := strings.Cut(text, "/")
		a, err := netip.ParseAddr(bare)
		if err != nil {
			return nil, protocol.Errorf(protocol.CodeConfig, "requested address %q: %w", text, err)
		}
		if a = a.Unmap(); !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}
