package bridge

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/delegate"
	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/podns"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/rtnl"
	"github.com/podnet/podnet/cmd/cni/internal/spoof"
)

// findings are the sentences about what is not as ADD left it.
type findings []string

func (f *findings) addf(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// check looks at what matters to the pod, all of it, and says everything that is wrong.
func check(req *protocol.Request) error {
	c, err := decode(req)
	if err != nil {
		return err
	}
	prev, err := req.PrevResult(c.PrevResult)
	if err != nil {
		return err
	}
	if prev == nil {
		return protocol.Errorf(protocol.CodeConfig, "CHECK needs the prevResult of the ADD")
	}
	if err := checkIPAM(req, c, prev); err != nil {
		return err
	}
	h, err := rtnl.Dial()
	if err != nil {
		return err
	}
	defer h.Close()
	br, err := findBridge(h, c.Bridge)
	if errors.Is(err, rtnl.ErrNoLink) {
		return protocol.Errorf(protocol.CodeChanged, "the bridge %s is gone, and the pods on it are cut off", c.Bridge)
	}
	if err != nil {
		return err
	}
	var f findings
	a := &addressing{addrs: addressesOf(prev), routes: prev.Routes}
	if err := checkHost(&f, c, h, br, a); err != nil {
		return err
	}
	if err := checkPod(&f, req, c, h, br, prev, a); err != nil {
		return err
	}
	if len(f) > 0 {
		return protocol.Errorf(protocol.CodeChanged, "container %s, %s: %s", req.ContainerID, req.IfName, strings.Join(f, "; "))
	}
	return nil
}

// checkIPAM asks whoever gave the addresses.
func checkIPAM(req *protocol.Request, c *config, prev *current.Result) error {
	switch c.IPAM.Type {
	case "":
		return nil
	case hostlocal.Type:
		held, err := hostlocal.Held(req)
		if err != nil {
			return err
		}
		for _, a := range addressesOf(prev) {
			if !slices.Contains(held, a.prefix.Addr()) {
				return protocol.Errorf(protocol.CodeChanged, "container %s has no lease for %s: another pod may get the address; DEL and ADD it again",
					req.ContainerID, a.prefix.Addr())
			}
		}
		return nil
	}
	return delegate.Check(req, c.IPAM.Type)
}

// checkHost looks at the bridge and at the host's forwarding.
func checkHost(f *findings, c *config, h *rtnl.Conn, br *rtnl.Link, a *addressing) error {
	if !br.Up() {
		f.addf("the bridge %s is down (ip link set %s up)", br.Name, br.Name)
	}
	if !c.IsGateway || !c.layer3() {
		return nil
	}
	link, err := c.gatewayLink(h, br)
	if errors.Is(err, rtnl.ErrNoLink) {
		f.addf("%s, which has the gateway's address, is gone", c.vlanGateway())
		return nil
	}
	if err != nil {
		return err
	}
	have, err := addrsOf(h, link)
	if err != nil {
		return err
	}
	for _, g := range a.gateways() {
		if !slices.Contains(have, g) {
			f.addf("%s lacks the gateway address %s", link.Name, g)
		}
		setting := forward4
		if g.Addr().Is6() {
			setting = forward6
		}
		if on, err := isOne(setting); err != nil || !on {
			f.addf("%s is off", setting)
		}
	}
	return nil
}

// checkPod looks at both ends of the veth, and at addresses and routes in the pod.
func checkPod(f *findings, req *protocol.Request, c *config, h *rtnl.Conn, br *rtnl.Link, prev *current.Result, a *addressing) error {
	pod, err := openPod(req)
	if err != nil {
		return err
	}
	defer pod.Close()
	p, err := dialPod(pod)
	if err != nil {
		return err
	}
	defer p.Close()
	inside, err := p.LinkByName(req.IfName)
	if errors.Is(err, rtnl.ErrNoLink) {
		f.addf("the interface is gone")
		return nil
	}
	if err != nil {
		return err
	}
	if err := checkEnds(f, req, c, h, br, pod, prev, inside); err != nil || c.DisableContainerInterface {
		return err
	}
	if !inside.Up() {
		f.addf("it is down")
	}
	return checkLayer3(f, p, inside, a)
}

// checkEnds looks at the pod's end and whether it leads to a port of the bridge that works.
func checkEnds(f *findings, req *protocol.Request, c *config, h *rtnl.Conn, br *rtnl.Link, pod *podns.Namespace, prev *current.Result, inside *rtnl.Link) error {
	mac := inside.MAC.String()
	for _, in := range prev.Interfaces {
		if in.Name == req.IfName && in.Sandbox != "" && in.Mac != "" && in.Mac != mac {
			f.addf("its MAC address is %s, not %s", mac, in.Mac)
		}
	}
	port, err := portOf(h, br, pod, inside)
	if err == nil && port != nil && c.MACSpoofChk {
		guarded, err := spoof.Guarded(req.Network, port.Name, inside.MAC)
		if err != nil {
			return err
		}
		if !guarded {
			f.addf("macspoofchk lets it send from any address")
		}
	}
	switch {
	case err != nil:
		return err
	case port == nil:
		f.addf("it is not connected to the bridge %s", br.Name)
	case !port.Up():
		f.addf("the host's end %s is down (ip link set %s up)", port.Name, port.Name)
	}
	return nil
}

func checkLayer3(f *findings, p *rtnl.Conn, inside *rtnl.Link, a *addressing) error {
	have, err := addrsOf(p, inside)
	if err != nil {
		return err
	}
	for _, addr := range a.addrs {
		if !slices.Contains(have, addr.prefix) {
			f.addf("the address %s is gone", addr.prefix)
		}
	}
	for _, r := range a.routes {
		want := routeOf(r, a, inside.Index)
		there, err := p.HasRoute(want)
		if err != nil {
			return err
		}
		if !there {
			f.addf("the route to %s via %s is gone", want.Dst, want.Gateway)
		}
	}
	return nil
}
