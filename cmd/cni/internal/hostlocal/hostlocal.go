package hostlocal

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/presence"
)

// Allocation is what an ADD gives.
type Allocation struct {
	Grants []ipam.Grant
	Routes []*types.Route
	DNS    types.DNS

	store *ipam.Store // holds the leases
	owner ipam.Owner
}

// Reclaimed returns the addresses of pods that have gone, which were freed because there were no
// others.
func (a *Allocation) Reclaimed() []netip.Addr { return a.store.Reclaimed() }

// owner returns the attachment as its leases name it.
func (c *Call) owner() ipam.Owner {
	return ipam.Owner{ContainerID: c.ContainerID, IfName: c.IfName}
}

// Allocate gives the attachment an address of each range set, the same again if it has them, to a
// plugin that makes the pod's veth in this process: the leases are bound to it. mac is the one of the
// pod's interface. args are the CNI_ARGS that the calling plugin knows besides IP.
func (c *Call) Allocate(mac [6]byte, args ...string) (*Allocation, error) {
	return c.allocate(func(s *ipam.Store) *ipam.Store { return s.Bound().Sending(mac) }, args...)
}

// unbound is the binding of a plugin that ends when it has answered.
func unbound(s *ipam.Store) *ipam.Store { return s }

func (c *Call) allocate(binding func(*ipam.Store) *ipam.Store, args ...string) (*Allocation, error) {
	values, err := protocol.ParseArgs(c.Args, append(args, "IP")...)
	if err != nil {
		return nil, err
	}
	wanted, err := c.requested(values)
	if err != nil {
		return nil, err
	}
	sets, err := c.Sets()
	if err != nil {
		return nil, err
	}
	if err := protocol.CheckRoutes(c.routes); err != nil {
		return nil, err
	}
	a := &Allocation{Routes: c.routes, owner: c.owner()}
	if a.DNS, err = readResolvConf(c.resolvConf); err != nil {
		return nil, err
	}
	s, err := c.store()
	if err != nil {
		return nil, err
	}
	a.store = c.looking(binding(s.Named(podName(values))))
	a.Grants, err = a.store.Reserve(protocol.NewPatience(), a.owner, sets, wanted...)
	var exhausted *ipam.ExhaustedError
	if errors.As(err, &exhausted) {
		return nil, protocol.Errorf(protocol.CodeExhausted, "%w (all %d are leased: %s)", err,
			exhausted.Leased, c.moreRoom(s, exhausted))
	}
	return a, storeError(err)
}

// podName returns what the runtime calls the pod, if it says so in CNI_ARGS: Kubernetes by
// namespace and name, Nomad by namespace, job and group.
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
func (a *Allocation) Undo() error {
	var fresh []netip.Addr
	for _, g := range a.Grants {
		if g.Fresh {
			fresh = append(fresh, g.Addr.Addr())
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	_, err := a.store.Release(protocol.NewPatience(), a.owner, fresh...)
	return storeError(err)
}

// Holding is what a DEL is about to take away: no ADD of the attachment goes on until its process
// has ended.
type Holding struct {
	Addrs []netip.Addr

	store *ipam.Store
	owner ipam.Owner
}

// Hold takes hold of the attachment's addresses. It needs no valid ranges.
func (c *Call) Hold() (*Holding, error) {
	s, err := c.store()
	if err != nil {
		return nil, err
	}
	h := &Holding{store: s.Bound(), owner: c.owner()}
	h.Addrs, err = h.store.Claim(protocol.NewPatience(), h.owner)
	return h, storeError(err)
}

// Release frees the addresses.
func (h *Holding) Release() error {
	if len(h.Addrs) == 0 {
		return nil
	}
	_, err := h.store.Release(protocol.NewPatience(), h.owner, h.Addrs...)
	return storeError(err)
}

// Held returns the addresses that the attachment has.
func (c *Call) Held() ([]netip.Addr, error) {
	s, err := c.store()
	if err != nil {
		return nil, err
	}
	addrs, err := s.Lookup(protocol.NewPatience(), c.owner())
	return addrs, storeError(err)
}

// looking returns a store that gives away what pods that have gone have left.
func (c *Call) looking(s *ipam.Store) *ipam.Store {
	return s.Looking(func() (ipam.Sight, error) { return presence.Look(c.Netns) }, c.hasVeths())
}

// hasVeths reports whether the plugin that the configuration is for connects each pod by a veth.
func (c *Call) hasVeths() bool { return c.kind == "bridge" || c.kind == "ptp" }

// moreRoom returns what can be done when all addresses of a set have a lease. Those of pods that
// are known to have gone are taken already.
func (c *Call) moreRoom(s *ipam.Store, e *ipam.ExhaustedError) string {
	unjudged, example := 0, ""
	for l, err := range s.Leases() {
		if err != nil || l.Ours && (l.Bound || c.hasVeths()) {
			continue
		}
		if _, in := e.Set.Find(l.Addr); in {
			unjudged, example = unjudged+1, filepath.Join(c.dir(), l.Addr.String())
		}
	}
	const remedy = "a larger range, or fewer pods on this node"
	if unjudged == 0 {
		return remedy
	}
	return fmt.Sprintf("%s; of %d podnet cannot tell whether their pod is still there, "+
		"such as %s: remove the files of those whose container has gone", remedy, unjudged, example)
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
