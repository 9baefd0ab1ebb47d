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

// inspection is a CHECK at work: what the ADD left, and the sentences about what is not so any more.
type inspection struct {
	*call
	prev   *current.Result // the result of all the network's plugins
	addrs  *addressing     // what prev says of this attachment
	bridge *netlink.Link

	findings []string
}

// addf adds a finding.
func (i *inspection) addf(format string, args ...any) {
	i.findings = append(i.findings, fmt.Sprintf(format, args...))
}

// check looks at what matters to the pod, all of it, and says everything that is wrong.
func check(req *protocol.Request) error {
	c, err := open(req)
	if err != nil {
		return err
	}
	defer c.host.Close()
	prev, err := c.PrevResult()
	if err != nil {
		return err
	}
	if prev == nil {
		return protocol.Errorf(protocol.CodeConfig, "CHECK needs the prevResult of the ADD")
	}
	i := &inspection{call: c, prev: prev, addrs: c.ownPart(prev)}
	if err := c.checkIPAM(i.addrs); err != nil {
		return err
	}
	i.bridge, err = c.findBridge()
	if errors.Is(err, netlink.ErrNoLink) {
		return protocol.Errorf(protocol.CodeChanged,
			"the bridge %s is gone, and the pods on it are cut off", c.Bridge)
	}
	if err != nil {
		return err
	}
	for _, look := range []func() error{i.checkHost, i.checkMasquerade, i.checkPod} {
		if err := look(); err != nil {
			return err
		}
	}
	if len(i.findings) > 0 {
		return protocol.Errorf(protocol.CodeChanged, "container %s, %s: %s",
			c.ContainerID, c.IfName, strings.Join(i.findings, "; "))
	}
	return nil
}

// checkHost looks at the bridge and at the host's forwarding.
func (i *inspection) checkHost() error {
	if !i.bridge.Up() {
		i.addf("the bridge %s is down (ip link set %s up)", i.bridge.Name, i.bridge.Name)
	}
	if !i.IsGateway || !i.layer3() {
		return nil
	}
	link, err := i.gatewayLink(i.bridge)
	if errors.Is(err, netlink.ErrNoLink) {
		i.addf("%s, which has the gateway's address, is gone", i.vlanGateway())
		return nil
	}
	if err != nil {
		return err
	}
	have, err := addrsOf(i.host, link)
	if err != nil {
		return err
	}
	for _, g := range i.addrs.gateways() {
		if !slices.Contains(have, g) {
			i.addf("%s lacks the gateway address %s", link.Name, g)
		}
		setting := device.IPv4Forwarding
		if g.Addr().Is6() {
			setting = device.IPv6Forwarding
		}
		if value, err := sysctl.Read(setting); err != nil || value != "1" {
			i.addf("%s is off (sysctl -w %s=1)", setting, setting)
		}
	}
	return nil
}

// checkMasquerade looks for the rules without which the pod reaches nobody outside. A pod that
// another plugin connected has others.
func (i *inspection) checkMasquerade() error {
	if !i.masquerades() {
		return nil
	}
	there, err := masquerade.There(i.IPMasqBackend, i.maskedPod(), i.addrs.prefixes())
	if err == nil && !there {
		i.addf("the rules of ipMasq are gone")
	}
	return err
}
