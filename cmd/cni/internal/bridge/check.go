package bridge

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/masquerade"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/sysctl"
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
	a := ownPart(req, prev)
	if err := checkIPAM(req, c, a); err != nil {
		return err
	}
	h, err := netlink.Dial()
	if err != nil {
		return err
	}
	defer h.Close()
	br, err := findBridge(h, c.Bridge)
	if errors.Is(err, netlink.ErrNoLink) {
		return protocol.Errorf(protocol.CodeChanged, "the bridge %s is gone, and the pods on it are cut off", c.Bridge)
	}
	if err != nil {
		return err
	}
	var f findings
	if err := checkHost(&f, c, h, br, a); err != nil {
		return err
	}
	if err := checkMasquerade(&f, req, c, prev, a); err != nil {
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

// checkHost looks at the bridge and at the host's forwarding.
func checkHost(f *findings, c *config, h *netlink.Conn, br *netlink.Link, a *addressing) error {
	if !br.Up() {
		f.addf("the bridge %s is down (ip link set %s up)", br.Name, br.Name)
	}
	if !c.IsGateway || !c.layer3() {
		return nil
	}
	link, err := c.gatewayLink(h, br)
	if errors.Is(err, netlink.ErrNoLink) {
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
		setting := device.IPv4Forwarding
		if g.Addr().Is6() {
			setting = device.IPv6Forwarding
		}
		if value, err := sysctl.Read(setting); err != nil || value != "1" {
			f.addf("%s is off (sysctl -w %s=1)", setting, setting)
		}
	}
	return nil
}

// checkMasquerade looks for the rules without which the pod reaches nobody outside. A pod that
// another plugin connected has others.
func checkMasquerade(f *findings, req *protocol.Request, c *config, prev *current.Result, a *addressing) error {
	if !c.masquerades() {
		return nil
	}
	there, err := masquerade.There(c.IPMasqBackend, maskedPod(req), a.prefixes())
	if err == nil && !there {
		f.addf("the rules of ipMasq are gone")
	}
	return err
}
