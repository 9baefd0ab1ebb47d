package device

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
)

// AddBridge makes a bridge, down. Its MAC is set, so that it does not follow its ports. mtu 0: the kernel's. A name that is
// taken: EEXIST.
func AddBridge(h *netlink.Handle, name string, mac net.HardwareAddr, mtu int, group uint32) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.Group = name, mac, group
	if mtu != 0 {
		attrs.MTU = mtu - 1
	}
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := h.LinkAdd(bridge); err != nil || mtu == 0 {
		return err
	}
	// A bridge's MTU goes with the next port that leaves, unless somebody has changed it since its creation.
	if err := h.LinkSetMTU(bridge, mtu); err != nil {
		return errors.Join(err, h.LinkDel(bridge))
	}
	return nil
}

// Setting is a sysctl: a path below /proc/sys, because devices have dots in their names, and a value.
type Setting struct{ Path, Value string }

// BridgeSettings are podnet's bridge's before it goes up where pods speak IPv6: without them its link-local address is
// tentative for two seconds after the first carrier, and the first pod cannot be reached.
func BridgeSettings(bridge string) []Setting {
	return []Setting{
		{"net/ipv6/conf/" + bridge + "/disable_ipv6", "0"},
		{"net/ipv6/conf/" + bridge + "/accept_dad", "0"},
	}
}

// Write sets it in the calling thread's network namespace and reads it back: some values are refused in silence. What is as
// wanted already is not written: /proc/sys may be read-only.
func (s Setting) Write() error {
	file := "/proc/sys/" + s.Path
	if got, err := read(file); err != nil || got == s.Value {
		return err
	}
	if err := os.WriteFile(file, []byte(s.Value), 0o644); err != nil {
		return err
	}
	got, err := read(file)
	if err == nil && got != s.Value {
		err = fmt.Errorf("%s is %s after %s was written", file, got, s.Value)
	}
	return err
}

func read(file string) (string, error) {
	b, err := os.ReadFile(file)
	return strings.TrimSpace(string(b)), err
}
