package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netlink"
)

// trunkFile is an entry of vlanTrunk: one VLAN, or all from one to another.
type trunkFile struct {
	MinID *int `json:"minID"`
	MaxID *int `json:"maxID"`
	ID    *int `json:"id"`
}

const (
	highestVLAN = 4094
	nativeVLAN  = 1 // the native VLAN of a trunk that names none
)

// filtersVLANs reports whether the bridge has to tell VLANs apart.
func (c *config) filtersVLANs() bool { return c.VLAN != 0 || c.VLANTrunk != nil }

func (c *config) validateVLANs() error {
	if c.VLAN < 0 || c.VLAN > highestVLAN {
		return protocol.Errorf(protocol.CodeConfig,
			"vlan %d is not between 0 and %d", c.VLAN, highestVLAN)
	}
	if name := c.vlanGateway(); len(name) > 15 {
		return protocol.Errorf(protocol.CodeConfig,
			"the gateway's interface %s would be longer than the 15 characters of an interface name: "+
				"shorten bridge", name)
	}
	for _, t := range c.VLANTrunk {
		first, last, err := t.ids()
		if err != nil {
			return err
		}
		if first < 1 || last > highestVLAN || first > last {
			return protocol.Errorf(protocol.CodeConfig,
				"vlanTrunk: %d to %d are no VLANs: 1 to %d, the lower one first",
				first, last, highestVLAN)
		}
	}
	return nil
}

func (t trunkFile) ids() (first, last int, err error) {
	switch {
	case t.ID != nil && t.MinID == nil && t.MaxID == nil:
		return *t.ID, *t.ID, nil
	case t.ID == nil && t.MinID != nil && t.MaxID != nil:
		return *t.MinID, *t.MaxID, nil
	}
	return 0, 0, protocol.Errorf(protocol.CodeConfig,
		"vlanTrunk: an entry has either id, or minID and maxID")
}

// vlanGateway returns the name of the interface that has the gateway's address within the VLAN; ""
// if that is the bridge itself.
func (c *config) vlanGateway() string {
	if c.VLAN == 0 || !c.IsGateway || !c.layer3() {
		return ""
	}
	return fmt.Sprintf("%s.%d", c.Bridge, c.VLAN)
}

// Of the kernel's headers, what package unix lacks.
const (
	bridgeVLANFiltering = 7  // IFLA_BR_VLAN_FILTERING
	bridgeDefaultPVID   = 39 // IFLA_BR_VLAN_DEFAULT_PVID
	bridgeFlags         = 0  // IFLA_BRIDGE_FLAGS
	bridgeVLANInfo      = 2  // IFLA_BRIDGE_VLAN_INFO
	ofMaster            = 1  // BRIDGE_FLAGS_MASTER
	ofItself            = 2  // BRIDGE_FLAGS_SELF
	asPVID              = 2  // BRIDGE_VLAN_INFO_PVID
	untagged            = 4  // BRIDGE_VLAN_INFO_UNTAGGED
	rangeBegins         = 8  // BRIDGE_VLAN_INFO_RANGE_BEGIN
	rangeEnds           = 16 // BRIDGE_VLAN_INFO_RANGE_END
)

// filterVLANs has the bridge tell VLANs apart. Ports that are there stay in the bridge's default
// VLAN.
func (c *call) filterVLANs(br *netlink.Link) (*netlink.Link, error) {
	if !c.filtersVLANs() || isSet(br.Info(bridgeVLANFiltering)) {
		return br, nil
	}
	m := netlink.NewMessage(unix.RTM_NEWLINK, 0).LinkHeader(unix.IfInfomsg{Index: int32(br.Index)})
	m.Nest(unix.IFLA_LINKINFO, func(m *netlink.Message) {
		m.String(unix.IFLA_INFO_KIND, "bridge").Nest(unix.IFLA_INFO_DATA, func(m *netlink.Message) {
			m.Uint8(bridgeVLANFiltering, 1)
		})
	})
	err := c.host.Do(m)
	if err == nil {
		br, err = c.findBridge()
	}
	// A kernel without it says nothing.
	if errors.Is(err, unix.EOPNOTSUPP) || err == nil && !isSet(br.Info(bridgeVLANFiltering)) {
		return nil, protocol.Errorf(protocol.CodeUnsupported,
			"unsupported field \"vlan\" or \"vlanTrunk\": "+
				"this kernel's bridge has no VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)")
	}
	if err != nil {
		return nil, fmt.Errorf("switch on VLAN filtering of bridge %s: %w", c.Bridge, err)
	}
	return br, nil
}

func isSet(b []byte) bool { return len(b) > 0 && b[0] != 0 }

// setVLANs gives a port its VLANs: the trunk's tagged, vlan itself as the one of packets without a
// tag.
func (c *call) setVLANs(br *netlink.Link, port int, trunk []trunkFile) error {
	if c.VLAN == 0 && len(trunk) == 0 {
		return nil
	}
	if pvid := br.Info(bridgeDefaultPVID); !c.PreserveDefaultVLAN && len(pvid) == 2 {
		id := int(binary.NativeEndian.Uint16(pvid))
		err := c.host.Do(vlanMessage(unix.RTM_DELLINK, port, vlanInfo(0, id)))
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove the default VLAN of a port of %s: %w", br.Name, err)
		}
	}
	native := c.VLAN
	if native == 0 {
		native = nativeVLAN
	}
	infos := [][]byte{}
	for _, r := range mergeTrunk(trunk, native) {
		if r[0] == r[1] {
			infos = append(infos, vlanInfo(0, r[0]))
		} else {
			infos = append(infos, vlanInfo(rangeBegins, r[0]), vlanInfo(rangeEnds, r[1]))
		}
	}
	infos = append(infos, vlanInfo(asPVID|untagged, native))
	if err := c.host.Do(vlanMessage(unix.RTM_SETLINK, port, infos...)); err != nil {
		return fmt.Errorf("set the VLANs of a port of %s: %w", br.Name, err)
	}
	return nil
}

// mergeTrunk returns the trunk as ranges in order that do not touch each other. The native VLAN is
// left out, as it is an entry of its own.
func mergeTrunk(trunk []trunkFile, native int) [][2]int {
	var in [highestVLAN + 2]bool
	for _, t := range trunk {
		first, last, err := t.ids()
		for id := max(first, 1); err == nil && id <= min(last, highestVLAN); id++ {
			in[id] = id != native
		}
	}
	var ranges [][2]int
	for id := 1; id <= highestVLAN; id++ {
		if in[id] && !in[id-1] {
			ranges = append(ranges, [2]int{id, id})
		} else if in[id] {
			ranges[len(ranges)-1][1] = id
		}
	}
	return slices.Clip(ranges)
}

func vlanInfo(flags uint16, id int) []byte {
	info := binary.NativeEndian.AppendUint16(nil, flags)
	return binary.NativeEndian.AppendUint16(info, uint16(id))
}

// vlanMessage returns a message about the VLANs of a bridge's port, as the bridge keeps them.
func vlanMessage(typ uint16, port int, infos ...[]byte) *netlink.Message {
	return vlanMessageTo(ofMaster, typ, port, infos...)
}

func vlanMessageTo(whose, typ uint16, link int, infos ...[]byte) *netlink.Message {
	m := netlink.NewMessage(typ, 0)
	m.LinkHeader(unix.IfInfomsg{Family: unix.AF_BRIDGE, Index: int32(link)})
	return m.Nest(unix.IFLA_AF_SPEC, func(m *netlink.Message) {
		m.Uint16(bridgeFlags, whose)
		for _, info := range infos {
			m.Bytes(bridgeVLANInfo, info)
		}
	})
}
