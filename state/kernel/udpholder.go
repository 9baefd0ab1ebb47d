package kernel

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
	vishvananda "github.com/vishvananda/netlink"
)

// udpHolder is who has a UDP port of this namespace that the tunnel cannot share with it.
type udpHolder struct {
	what   string // "the link cilium_vxlan (vxlan, external)"
	way    string // out, in words
	remedy string // the command that frees the port
}

// takenPort is the conflict of a tunnel that is down with who holds its port. The kernel opens a
// vxlan device's socket when the device goes up, so that one that is up has it. It is found without
// trying, so that who only looks sees it too, and it keeps nobody from trying.
func (n *Node) takenPort(l state.Link) []state.Conflict {
	h, taken := n.udpHolder(l.Port, l.Local.Is6())
	if !taken {
		return nil
	}
	return []state.Conflict{{
		Key:    state.LinkUpKey(l.Device),
		Owner:  fmt.Sprintf("UDP %d, the tunnel's port, is held by %s: %s, or give network.vxlan.port another number on all nodes", l.Port, h.what, h.way),
		Remedy: h.remedy,
	}}
}

// udpHolder finds what holds a UDP port that podnet's tunnel cannot share: a process, else a vxlan
// link that is not podnet's, else an unknown program. It reports false if the port is free or its
// holder can share it. Only a process has an inode below /proc/PID/fd, so processes are tried
// first.
func (n *Node) udpHolder(port uint16, ipv6 bool) (udpHolder, bool) {
	inodes := udpSockets(port, ipv6)
	if len(inodes) == 0 {
		return udpHolder{}, false
	}
	for _, inode := range inodes {
		if h, found := programHolder(port, inode); found {
			return h, true
		}
	}
	if h, shared := n.linkHolder(port, ipv6); shared || h.what != "" {
		return h, !shared
	}
	look := fmt.Sprintf("ss -ulpn 'sport = :%d'", port)
	return udpHolder{what: "a program (find it: " + look + ")", way: "stop it", remedy: look}, true
}

// udpSockets are the inodes of those of a port that a tunnel over IPv4, or over IPv6, may not be
// able to be beside: a socket of IPv6 can take IPv4 as well.
func udpSockets(port uint16, ipv6 bool) (inodes []string) {
	tables := []string{"udp", "udp6"}
	if ipv6 {
		tables = tables[1:]
	}
	for _, table := range tables {
		text, err := os.ReadFile("/proc/thread-self/net/" + table)
		if err != nil {
			continue // a kernel without that family
		}
		for line := range strings.Lines(string(text)) {
			const local, inode = 1, 9
			fields := strings.Fields(line)
			if len(fields) > inode && strings.HasSuffix(fields[local], fmt.Sprintf(":%04X", port)) {
				inodes = append(inodes, fields[inode])
			}
		}
	}
	return inodes
}

// linkHolder finds a vxlan device other than podnet's that is up on the port and whose flags keep
// podnet's device from sharing its socket. If there are only devices that can share, shared is
// true and h is empty.
func (n *Node) linkHolder(port uint16, ipv6 bool) (h udpHolder, shared bool) {
	for _, name := range slices.Sorted(maps.Keys(n.Links)) {
		a := n.Links[name].Attrs()
		v, is := n.Links[name].(*vishvananda.Vxlan)
		if !is || v.Port != int(port) || a.Group == device.GroupDevice || a.Flags&net.FlagUp == 0 {
			continue
		}
		flags := "with other flags than podnet's"
		over6 := addrOf(v.SrcAddr).Is6() || addrOf(v.Group).Is6()
		switch {
		case v.FlowBased:
			flags = "external"
		case over6 != ipv6 || !v.GBP && !v.UDP6ZeroCSumRx:
			shared = true
			continue
		}
		return udpHolder{
			what: fmt.Sprintf("the link %s (vxlan, %s)", name, flags), way: "set it down if nothing needs it",
			remedy: "ip link set " + shell.Quote(name) + " down",
		}, false
	}
	return h, shared
}

// programHolder finds the process that has a socket, as far as this one may look.
func programHolder(port uint16, inode string) (udpHolder, bool) {
	descriptors, _ := filepath.Glob("/proc/[0-9]*/fd/*") // its only error is of the pattern
	for _, path := range descriptors {
		target, err := os.Readlink(path)
		if err != nil || target != "socket:["+inode+"]" {
			continue
		}
		process := strings.Split(path, "/")[2]
		pid, err := strconv.ParseUint(process, 10, 32)
		if err != nil {
			continue
		}
		h := udpHolder{
			what: fmt.Sprintf("%s (pid %d; ss -ulpn 'sport = :%d')", programName(uint32(pid)), pid, port), way: "stop it",
			remedy: fmt.Sprintf("kill %d", pid),
		}
		if unit := unitOf(process); unit != "" {
			h.remedy = "systemctl stop " + shell.Quote(unit)
		}
		return h, true
	}
	return udpHolder{}, false
}

// unitOf is the systemd service of a process; "": it is of none.
func unitOf(process string) string {
	text, err := os.ReadFile("/proc/" + process + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if base := filepath.Base(strings.TrimSpace(line)); strings.HasSuffix(base, ".service") {
			return base
		}
	}
	return ""
}
