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

// Call is a call of the plugin, or of one that has it give the addresses: who is asked for, and what
// the configuration says.
type Call struct {
	*protocol.Request

	kind       string        // the type of the plugin that the addresses are for
	old        rangeFile     // ipam.subnet and the others of that older form
	ranges     [][]rangeFile // ipam.ranges
	ipRanges   [][]rangeFile // runtimeConfig.ipRanges
	routes     []*types.Route
	resolvConf string
	dataDir    string
	ips        []string // asked for by name, in args.cni and by the runtime
}

// rangeFile is a range as it is written.
type rangeFile struct {
	Subnet                        netip.Prefix
	RangeStart, RangeEnd, Gateway netip.Addr
}

// Read returns the call that a request is for. It reads any ranges; those that cannot be are for
// the verbs that need them to refuse.
func Read(req *protocol.Request) (*Call, error) {
	c := &Call{Request: req, dataDir: defaultDataDir}
	o := req.Config
	o.String("type", &c.kind)
	ipam, runtime := o.Object("ipam"), o.Object("runtimeConfig")
	c.old = readRange(ipam)
	c.ranges, c.ipRanges = readRanges(ipam.Lists("ranges")), readRanges(runtime.Lists("ipRanges"))
	ipam.Any("routes", &c.routes)
	ipam.String("resolvConf", &c.resolvConf)
	ipam.String("dataDir", &c.dataDir)
	var ips []string
	o.Object("args").Object("cni").Any("ips", &c.ips)
	runtime.Any("ips", &ips)
	c.ips = append(c.ips, ips...)
	if err := o.Err(); err != nil {
		return nil, err
	}
	if o.Raw("ipam") == nil {
		return nil, protocol.Errorf(protocol.CodeConfig, "IPAM config missing 'ipam' key")
	}
	return c, nil
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

// dir returns where the leases of the network are.
func (c *Call) dir() string {
	dir := c.dataDir
	if dir == "" {
		dir = defaultDataDir
	}
	return filepath.Join(dir, c.Network)
}

// store opens the lease store of the network.
func (c *Call) store() (*ipam.Store, error) {
	s, err := ipam.Open(c.dir())
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeIO, "lease store: %w", err)
	}
	if !s.BootKnown() {
		fmt.Fprintln(os.Stderr, "host-local: the boot id (/proc/sys/kernel/random/boot_id) "+
			"cannot be read: leases of earlier boots are kept")
	}
	return s, nil
}

// Sets returns the range sets that an ADD takes an address of each from, in their order: the
// runtime's, the one of the older top-level fields, those of ranges.
func (c *Call) Sets() ([]ipam.Set, error) {
	written := slices.Clone(c.ipRanges)
	if c.old.Subnet.IsValid() {
		written = append(written, []rangeFile{c.old})
	}
	written = append(written, c.ranges...)
	if len(written) == 0 {
		return nil, protocol.Errorf(protocol.CodeConfig, "no IP ranges specified: set ipam.ranges")
	}
	sets := make([]ipam.Set, len(written))
	for i, w := range written {
		for _, r := range w {
			sets[i] = append(sets[i], ipam.Range{
				Subnet: r.Subnet, First: r.RangeStart, Last: r.RangeEnd, Gateway: r.Gateway,
			})
		}
	}
	sets, err := ipam.Normalize(sets)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeConfig, "invalid %w", err)
	}
	return sets, nil
}

// requested returns the addresses asked for by name, wherever the runtime says so.
func (c *Call) requested(args map[string]string) ([]netip.Addr, error) {
	var texts []string
	if ip := args["IP"]; ip != "" {
		texts = append(texts, ip)
	}
	texts = append(texts, c.ips...)
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
