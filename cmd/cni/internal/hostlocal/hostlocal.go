package hostlocal

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/podnet/podnet/cmd/cni/internal/presence"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/ipam"
)

// Allocation is what an ADD gives.
type Allocation struct {
	Grants []ipam.Grant
	Routes []*types.Route
	DNS    types.DNS

	store *ipam.Store // the one that holds the leases
}

// Reclaimed returns the addresses of pods that have gone, which were freed because there were no
// others.
func (a *Allocation) Reclaimed() []netip.Addr { return a.store.Reclaimed() }

func owner(req *protocol.Request) ipam.Owner {
	return ipam.Owner{ContainerID: req.ContainerID, IfName: req.IfName}
}

// Allocate gives the attachment an address of each range set, the same again if it has them, to a
// plugin that makes the pod's veth in this process: the leases are bound to it. args are the
// CNI_ARGS that the calling plugin knows besides IP.
func Allocate(req *protocol.Request, args ...string) (*Allocation, error) {
	return allocate(req, (*ipam.Store).Bound, args...)
}

// unbound is for a plugin that ends when it has answered.
func unbound(s *ipam.Store) *ipam.Store { return s }

func allocate(req *protocol.Request, binding func(*ipam.Store) *ipam.Store, args ...string) (*Allocation, error) {
	f, err := parse(req)
	if err != nil {
		return nil, err
	}
	values, err := protocol.ParseArgs(req.Args, append(args, "IP")...)
	if err != nil {
		return nil, err
	}
	wanted, err := f.requested(values)
	if err != nil {
		return nil, err
	}
	sets, err := f.sets()
	if err != nil {
		return nil, err
	}
	if err := protocol.CheckRoutes(f.routes); err != nil {
		return nil, err
	}
	a := &Allocation{Routes: f.routes}
	if a.DNS, err = readResolvConf(f.resolvConf); err != nil {
		return nil, err
	}
	s, err := f.store(req)
	if err != nil {
		return nil, err
	}
	a.store = f.looking(req, binding(s.Named(podName(values))))
	a.Grants, err = a.store.Reserve(newPatience(), owner(req), sets, wanted...)
	var exhausted *ipam.ExhaustedError
	if errors.As(err, &exhausted) {
		return nil, protocol.Errorf(protocol.CodeExhausted, "%w (all %d are leased: %s)", err, exhausted.Leased, f.moreRoom(req, s, exhausted))
	}
	return a, storeError(err)
}

// podName is what the runtime calls the pod, if it says so in CNI_ARGS: Kubernetes by namespace and
// name, Nomad by namespace, job and group.
func podName(args map[string]string) string {
	if name := args["K8S_POD_NAME"]; name != "" {
		return args["K8S_POD_NAMESPACE"] + "/" + name
	}
	if group := args["NOMAD_GROUP_NAME"]; group != "" {
		return args["NOMAD_NAMESPACE"] + "/" + args["NOMAD_JOB_ID"] + "/" + group
	}
	return ""
}

// Undo frees what this Allocate gave, and not what the attachment had before.
func (a *Allocation) Undo(req *protocol.Request) error {
	var fresh []netip.Addr
	for _, g := range a.Grants {
		if g.Fresh {
			fresh = append(fresh, g.Addr.Addr())
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	_, err := a.store.Release(newPatience(), owner(req), fresh...)
	return storeError(err)
}

// Holding is what a DEL is about to take away: no ADD of the attachment goes on until its process
// has ended.
type Holding struct {
	Addrs []netip.Addr

	store *ipam.Store
}

// Hold takes hold of the attachment's addresses. It needs no valid ranges.
func Hold(req *protocol.Request) (*Holding, error) {
	s, err := openStore(req)
	if err != nil {
		return nil, err
	}
	h := &Holding{store: s.Bound()}
	h.Addrs, err = h.store.Claim(newPatience(), owner(req))
	return h, storeError(err)
}

// Release frees the addresses.
func (h *Holding) Release(req *protocol.Request) error {
	if len(h.Addrs) == 0 {
		return nil
	}
	_, err := h.store.Release(newPatience(), owner(req), h.Addrs...)
	return storeError(err)
}

// Held are the addresses that the attachment has.
func Held(req *protocol.Request) ([]netip.Addr, error) {
	s, err := openStore(req)
	if err != nil {
		return nil, err
	}
	addrs, err := s.Lookup(newPatience(), owner(req))
	return addrs, storeError(err)
}

func openStore(req *protocol.Request) (*ipam.Store, error) {
	f, err := parse(req)
	if err != nil {
		return nil, err
	}
	return f.store(req)
}

// looking is a store that gives away what pods that have gone have left.
func (f *file) looking(req *protocol.Request, s *ipam.Store) *ipam.Store {
	return s.Looking(func() (ipam.Sight, error) { return presence.Look(req.Netns) }, f.hasVeths())
}

// hasVeths reports whether the plugin that the configuration is for connects each pod by a veth.
func (f *file) hasVeths() bool { return f.kind == "bridge" || f.kind == "ptp" }

// moreRoom says what may be done where all addresses of a set have a lease: those of pods that are
// known to have gone are taken already.
func (f *file) moreRoom(req *protocol.Request, s *ipam.Store, e *ipam.ExhaustedError) string {
	unjudged, example := 0, ""
	for l, err := range s.Leases() {
		if err != nil || l.Ours && (l.Bound || f.hasVeths()) {
			continue
		}
		if _, in := e.Set.Find(l.Addr); in {
			unjudged, example = unjudged+1, filepath.Join(f.dir(req), l.Addr.String())
		}
	}
	const remedy = "a larger range, or fewer pods on this node"
	if unjudged == 0 {
		return remedy
	}
	return fmt.Sprintf("%s; of %d podnet cannot tell whether their pod is still there, such as %s: remove the files of those whose container has gone", remedy, unjudged, example)
}

// storeError gives what the store says its code.
func storeError(err error) error {
	var unavailable *ipam.UnavailableError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ipam.ErrBusy), errors.Is(err, ipam.ErrInFlight):
		return protocol.Errorf(protocol.CodeTryLater, "%w", err)
	case errors.As(err, &unavailable):
		return protocol.Errorf(protocol.CodeUnavailable, "%w", err)
	default:
		return protocol.Errorf(protocol.CodeIO, "lease store: %w", err)
	}
}
