package bridge

import (
	"net"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/masquerade"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

const defaultBridge = "cni0"

// config is the plugin's configuration, with the fields of the reference plugin.
type config struct {
	Bridge, IPMasqBackend                string
	IsGateway, IsDefaultGateway          bool
	ForceAddress, IPMasq                 bool
	HairpinMode, PromiscMode             bool
	MACSpoofChk, PortIsolation           bool
	EnableDAD, DisableContainerInterface bool
	MTU, VLAN                            int
	VLANTrunk                            []trunkFile
	PreserveDefaultVLAN                  bool
	DNS                                  types.DNS
	Podnet                               *own
	runtimeMAC, argsMAC                  string

	ipam  string          // the type of the plugin that gives the addresses; "" if pods have none
	local *hostlocal.Call // what that is called for if it is host-local, else nil
}

// own says that podnetd wrote this configuration: a missing bridge is made as podnetd would, host
// veths are marked, and what a pod may send from is noted down.
type own struct {
	BridgeMAC    string
	AntiSpoofing bool
}

// decode returns what every verb needs. It is lenient: a DEL must work with a configuration that an
// ADD would refuse.
func decode(req *protocol.Request) (*config, error) {
	c := &config{Bridge: defaultBridge}
	o := req.Config
	o.String("bridge", &c.Bridge)
	o.String("ipMasqBackend", &c.IPMasqBackend)
	o.Bool("isGateway", &c.IsGateway)
	o.Bool("isDefaultGateway", &c.IsDefaultGateway)
	o.Bool("forceAddress", &c.ForceAddress)
	o.Bool("ipMasq", &c.IPMasq)
	o.Bool("hairpinMode", &c.HairpinMode)
	o.Bool("promiscMode", &c.PromiscMode)
	o.Bool("macspoofchk", &c.MACSpoofChk)
	o.Bool("portIsolation", &c.PortIsolation)
	o.Bool("enabledad", &c.EnableDAD)
	o.Bool("disableContainerInterface", &c.DisableContainerInterface)
	o.Bool("preserveDefaultVlan", &c.PreserveDefaultVLAN)
	o.Int("mtu", &c.MTU)
	o.Int("vlan", &c.VLAN)
	o.Any("vlanTrunk", &c.VLANTrunk)
	o.Any("dns", &c.DNS)
	o.Object("ipam").String("type", &c.ipam)
	o.Object("runtimeConfig").String("mac", &c.runtimeMAC)
	o.Object("args").Object("cni").String("mac", &c.argsMAC)
	if o.Raw("podnet") != nil {
		c.Podnet = &own{}
		o.Object("podnet").String("bridgeMAC", &c.Podnet.BridgeMAC)
		o.Object("podnet").Bool("antiSpoofing", &c.Podnet.AntiSpoofing)
	}
	c.IsGateway = c.IsGateway || c.IsDefaultGateway
	if err := o.Err(); err != nil || c.ipam != hostlocal.Type {
		return c, err
	}
	var err error
	c.local, err = hostlocal.Read(req)
	return c, err
}

// layer3 reports whether pods get addresses.
func (c *config) layer3() bool { return c.ipam != "" }

// delegates reports whether a plugin that has to be executed gives the addresses.
func (c *config) delegates() bool { return c.layer3() && c.local == nil }

// validate returns what an ADD cannot do.
func (c *config) validate() error {
	masqBackends := []string{"", masquerade.Auto, masquerade.IPTables, masquerade.NFTables}
	switch {
	case c.HairpinMode && c.PromiscMode:
		return protocol.Errorf(protocol.CodeConfig,
			"hairpinMode and promiscMode exclude each other: set one of them")
	case c.layer3() && c.DisableContainerInterface:
		return protocol.Errorf(protocol.CodeConfig,
			"disableContainerInterface and ipam exclude each other: "+
				"an interface that stays down has no address")
	case c.MTU != 0 && (c.MTU < 68 || c.MTU > 65535):
		return protocol.Errorf(protocol.CodeConfig,
			"mtu %d is not between 68 and 65535, nor 0 for the kernel's", c.MTU)
	case !slices.Contains(masqBackends, c.IPMasqBackend):
		return protocol.Errorf(protocol.CodeConfig,
			"ipMasqBackend %q is none of auto, iptables and nftables", c.IPMasqBackend)
	case slices.Contains([]string{"", ".", ".."}, c.Bridge), strings.ContainsAny(c.Bridge, "/: \t\n\v\f\r"):
		return protocol.Errorf(protocol.CodeConfig,
			"bridge %q is no interface name: no slash, colon or space", c.Bridge)
	case len(c.Bridge) > 15:
		return protocol.Errorf(protocol.CodeConfig,
			"bridge %q is longer than the 15 characters of an interface name", c.Bridge)
	}
	return c.validateVLANs()
}

// podMAC returns the address asked for, by the runtime's configuration, its arguments, or CNI_ARGS, in
// this order; a random one if none is.
func (c *call) podMAC() (net.HardwareAddr, error) {
	args, err := protocol.ParseArgs(c.Args, "MAC", "IP")
	if err != nil {
		return nil, err
	}
	for _, text := range []string{c.runtimeMAC, c.argsMAC, args["MAC"]} {
		if text != "" {
			return parseMAC(text)
		}
	}
	return randomMAC(), nil
}

// bridgeMAC returns the address of a bridge which is about to be made. It is always set: the kernel would let
// it follow the ports'.
func (c *config) bridgeMAC() (net.HardwareAddr, error) {
	if c.Podnet == nil || c.Podnet.BridgeMAC == "" {
		return randomMAC(), nil
	}
	return parseMAC(c.Podnet.BridgeMAC)
}
