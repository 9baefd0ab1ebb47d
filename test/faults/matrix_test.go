package faults

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/tracer"
)

// operation is one thing that podnet asks of the kernel, of a program or of the file system, and
// what has to come of it when that fails.
type operation struct {
	name string
	work int // index in works

	message func(*tracer.Call, tracer.Message) bool // the netlink message that is refused; or
	call    func(*tracer.Call) bool                 // the call that fails

	early   bool     // nothing is changed for it
	late    bool     // the network is changed all the same, and only files are left
	own     bool     // the node is not Ready
	remains []string // the kinds of which objects may be left to do, or ipv6Routes
	status  bool     // what fails is the report: the network is as asked
}

// The works that operations fail in.
const (
	firstApply = iota
	editApply
	tearingDown
	trying
	confirming
	rollingBack
)

func errnos() []syscall.Errno {
	return []syscall.Errno{unix.EPERM, unix.EBUSY, unix.EEXIST, unix.ENODEV, unix.ESRCH, unix.ENOMEM, unix.ENOBUFS, unix.EINTR,
		unix.EINVAL, unix.ENOSPC, unix.EROFS}
}

// rtnetlink matches messages of a type and a family; 255: of any.
func rtnetlink(typ uint16, family uint8) func(*tracer.Call, tracer.Message) bool {
	return func(_ *tracer.Call, m tracer.Message) bool {
		return m.Protocol == unix.NETLINK_ROUTE && m.Type == typ && (family == anyFamily || m.Family == family)
	}
}

const anyFamily = 255

// makes matches the creation of a link.
func makes(name string) func(*tracer.Call, tracer.Message) bool {
	return func(c *tracer.Call, m tracer.Message) bool {
		return m.Protocol == unix.NETLINK_ROUTE && m.Type == unix.RTM_NEWLINK && m.Flags&unix.NLM_F_CREATE != 0 &&
			bytes.Contains(body(c, m), append([]byte(name), 0))
	}
}

// setsLink matches a change of a link: to set it up, or another.
func setsLink(up bool) func(*tracer.Call, tracer.Message) bool {
	return func(c *tracer.Call, m tracer.Message) bool {
		if m.Protocol != unix.NETLINK_ROUTE || m.Type != unix.RTM_NEWLINK && m.Type != unix.RTM_SETLINK || m.Flags&unix.NLM_F_CREATE != 0 {
			return false
		}
		b := body(c, m)
		return len(b) >= unix.SizeofIfInfomsg && (binary.NativeEndian.Uint32(b[8:])&unix.IFF_UP != 0) == up
	}
}

func body(c *tracer.Call, m tracer.Message) []byte {
	size := binary.NativeEndian.Uint32(c.Bytes(m.Addr, 4))
	return c.Bytes(m.Addr+unix.NLMSG_HDRLEN, int(size)-unix.NLMSG_HDRLEN)
}

// on matches a call of one of these numbers on a path that ends like this.
func on(suffix string, numbers ...uint64) func(*tracer.Call) bool {
	return func(c *tracer.Call) bool {
		return slices.Contains(numbers, c.Nr) && strings.HasSuffix(c.Path(), suffix)
	}
}

// opens matches the opening of a file for writing.
func opens(suffix string) func(*tracer.Call) bool {
	return func(c *tracer.Call) bool {
		return c.Nr == unix.SYS_OPENAT && c.Args[2]&(unix.O_WRONLY|unix.O_RDWR) != 0 && strings.HasSuffix(c.Path(), suffix)
	}
}

// executes matches the start of a program.
func executes(suffix string) func(*tracer.Call) bool { return on(suffix, unix.SYS_EXECVE) }

// writesRules matches what iptables-restore tells nf_tables.
func writesRules(c *tracer.Call) bool {
	return c.Nr == unix.SYS_SENDMSG && slices.ContainsFunc(c.Netlink(), tracer.Message.Changes) && c.Netlink()[0].Protocol == unix.NETLINK_NETFILTER
}

const (
	rename       = unix.SYS_RENAMEAT
	newConflist  = "/.10-podnet.conflist.new"
	conflistName = "/10-podnet.conflist"
)

func operations() []operation {
	onTunnel := []string{"link", "addr", "sysctl", "neigh", "fdb", "route", "conflist"}
	all := []operation{
		{name: "make the bridge", message: makes("cni0"), own: true, remains: []string{"link", "addr", "sysctl", ipv6Routes, "conflist"}},
		{name: "make the vxlan device", message: makes("podnet.1"), own: true, remains: onTunnel},
		{name: "set links up", message: setsLink(true), own: true, remains: []string{"link", "neigh", "route", "conflist"}},
		{name: "add IPv4 addresses", message: rtnetlink(unix.RTM_NEWADDR, unix.AF_INET), own: true, remains: []string{"addr", "conflist"}},
		{name: "add IPv6 addresses", message: rtnetlink(unix.RTM_NEWADDR, unix.AF_INET6), own: true, remains: []string{"addr", ipv6Routes, "conflist"}},
		{name: "add IPv4 neighbours", message: rtnetlink(unix.RTM_NEWNEIGH, unix.AF_INET), remains: []string{"neigh"}},
		{name: "add IPv6 neighbours", message: rtnetlink(unix.RTM_NEWNEIGH, unix.AF_INET6), remains: []string{"neigh"}},
		{name: "add FDB entries", message: rtnetlink(unix.RTM_NEWNEIGH, unix.AF_BRIDGE), remains: []string{"fdb"}},
		{name: "add IPv4 routes", message: rtnetlink(unix.RTM_NEWROUTE, unix.AF_INET), remains: []string{"route"}},
		{name: "add IPv6 routes", message: rtnetlink(unix.RTM_NEWROUTE, unix.AF_INET6), remains: []string{"route"}},
		{name: "start iptables-restore", call: executes("/iptables-restore"), own: true, remains: []string{"chain", "conflist"}},
		{name: "start ip6tables-restore", call: executes("/ip6tables-restore"), own: true, remains: []string{"chain", "conflist"}},
		{name: "write rules", call: writesRules, own: true, remains: []string{"chain", "conflist"}},
		{name: "start iptables-save", call: executes("/iptables-save"), own: true, remains: []string{"chain", "conflist"}},
		{name: "write a link's sysctl", call: on("/podnet.1/addr_gen_mode", unix.SYS_WRITE), own: true, remains: []string{"sysctl", "conflist"}},
		{name: "write ip_forward", call: on("/ip_forward", unix.SYS_WRITE), own: true, remains: []string{"sysctl", "conflist"}},
		{name: "write IPv6 forwarding", call: on("/all/forwarding", unix.SYS_WRITE), own: true, remains: []string{"sysctl", "conflist"}},
		{name: "write accept_ra", call: on("/eth0/accept_ra", unix.SYS_WRITE), own: true, remains: []string{"sysctl", "conflist"}},
		{name: "open the conflist", call: opens(newConflist), own: true, remains: []string{"conflist"}},
		{name: "write the conflist", call: on(newConflist, unix.SYS_WRITE), own: true, remains: []string{"conflist"}},
		{name: "sync the conflist", call: on(newConflist, unix.SYS_FSYNC), own: true, remains: []string{"conflist"}},
		{name: "rename the conflist", call: on(conflistName, rename), own: true, remains: []string{"conflist"}},
		{name: "rename the topology", call: on("/topology.yaml", rename), early: true},
		{name: "write the last good topology", call: on("/.last-good.yaml.new", unix.SYS_WRITE), early: true},
		{name: "rename the last good topology", call: on("/last-good.yaml", rename), early: true},
		{name: "open the lock", call: opens("/podnet/lock"), early: true},
		{name: "write the status", call: on("/.status.json.new", unix.SYS_WRITE), status: true},
		{name: "rename the status", call: on("/status.json", rename), status: true},
		{name: "list links", message: rtnetlink(unix.RTM_GETLINK, anyFamily), early: true},
		{name: "list addresses", message: rtnetlink(unix.RTM_GETADDR, anyFamily), early: true},
		{name: "change a link", work: editApply, message: setsLink(false), own: true, remains: []string{"link", "conflist"}},
		{name: "turn FDB entries", work: editApply, message: rtnetlink(unix.RTM_NEWNEIGH, unix.AF_BRIDGE), remains: []string{"fdb"}},
		{name: "delete neighbours", work: editApply, message: rtnetlink(unix.RTM_DELNEIGH, unix.AF_INET), remains: []string{"neigh"}},
		{name: "delete FDB entries", work: editApply, message: rtnetlink(unix.RTM_DELNEIGH, unix.AF_BRIDGE), remains: []string{"fdb"}},
		{name: "delete IPv4 routes", work: editApply, message: rtnetlink(unix.RTM_DELROUTE, unix.AF_INET), remains: []string{"route"}},
		{name: "delete IPv6 routes", work: editApply, message: rtnetlink(unix.RTM_DELROUTE, unix.AF_INET6), remains: []string{"route"}},
		{name: "delete links", work: tearingDown, message: rtnetlink(unix.RTM_DELLINK, anyFamily)},
		{name: "delete chains", work: tearingDown, call: executes("/iptables-restore")},
		{name: "remove the conflist", work: tearingDown, call: on(conflistName, unix.SYS_UNLINKAT)},
		{name: "remove the last good topology", work: tearingDown, call: on("/last-good.yaml", unix.SYS_UNLINKAT)},
		{name: "start who ends a trial", work: trying, call: executes("/exe"), early: true},
		{name: "write what a trial goes back to", work: trying, call: on("/.previous.yaml.new", unix.SYS_WRITE), early: true},
		{name: "rename the trial's record", work: trying, call: on("/trial.json", rename), early: true},
		{name: "put a trial's file in place", work: trying, call: on(lab.TopologyPath, rename), early: true},
		{name: "add FDB entries on trial", work: trying, message: rtnetlink(unix.RTM_NEWNEIGH, unix.AF_BRIDGE), remains: []string{"fdb"}},
		{name: "keep what was on trial", work: confirming, call: on("/last-good.yaml", rename), early: true},
		{name: "remove a confirmed trial", work: confirming, call: on("/trial.json", unix.SYS_UNLINKAT), early: true},
		{name: "clear up after it", work: confirming, call: on("/pending/previous.yaml", unix.SYS_UNLINKAT), early: true},
		{name: "remember a rollback", work: rollingBack, call: on("/rolled-back", rename), early: true},
		{name: "put the file before in place", work: rollingBack, call: on(lab.TopologyPath, rename), late: true},
		{name: "remove a trial rolled back", work: rollingBack, call: on("/trial.json", unix.SYS_UNLINKAT), late: true},
		{name: "change a link back", work: rollingBack, message: setsLink(false), own: true, remains: []string{"link", "conflist"}},
		{name: "delete routes of a trial", work: rollingBack, message: rtnetlink(unix.RTM_DELROUTE, unix.AF_INET), remains: []string{"route"}},
	}
	return all
}

// fault is an operation failing with an errno, as long as it is on.
type fault struct {
	operation
	errno   syscall.Errno
	off     func() bool // nil: it is on
	refuser tracer.Refuser
	count   int
}

// passing says that the fault ends by itself: nothing is interrupted for ever, and callers try
// again at once.
func (f *fault) passing() bool { return f.errno == unix.EINTR && f.call != nil }

// interruptions is how often a passing fault strikes.
const interruptions = 3

func (f *fault) tracer() *tracer.Tracer {
	on := func() bool { return (f.off == nil || !f.off()) && !(f.passing() && f.count >= interruptions) }
	f.refuser.Refuse = func(c *tracer.Call, m tracer.Message) syscall.Errno {
		if f.message == nil || !on() || !f.message(c, m) {
			return 0
		}
		f.count++
		return f.errno
	}
	return &tracer.Tracer{
		Enter: func(c *tracer.Call) tracer.Verdict {
			f.refuser.Send(c)
			if f.call != nil && on() && f.call(c) {
				f.count++
				return tracer.Verdict{Errno: f.errno}
			}
			return tracer.Verdict{}
		},
		Leave: func(c *tracer.Call) tracer.Verdict {
			f.refuser.Answer(c)
			return tracer.Verdict{}
		},
	}
}
