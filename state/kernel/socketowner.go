package kernel

import (
	"github.com/podnet/podnet/state/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The parts of the kernel's unix_diag.h that SocketOwner needs.
const (
	sockDiagByFamily = 20
	showName         = 0x01
	showUID          = 0x40 // since Linux 5.3
	diagName         = 0
	diagUID          = 7
	unixDiagLen      = 16 // sizeof(struct unix_diag_msg)
)

// unixDiagRequest asks for every unix socket of this network namespace.
type unixDiagRequest struct{ show uint32 }

func (r unixDiagRequest) Len() int { return 24 }

func (r unixDiagRequest) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0] = unix.AF_UNIX
	native.PutUint32(b[4:], ^uint32(0)) // in any state
	native.PutUint32(b[12:], r.show)
	return b
}

// SocketOwner tells which user holds the abstract unix socket of a name, in this network namespace.
// known is false if there is none, or if the kernel does not tell.
func SocketOwner(name string) (uid uint32, known bool, err error) {
	req := nl.NewNetlinkRequest(sockDiagByFamily, unix.NLM_F_DUMP)
	req.AddData(unixDiagRequest{showName | showUID})
	all, err := req.Execute(unix.NETLINK_SOCK_DIAG, 0)
	if err != nil {
		return 0, false, err
	}
	for _, msg := range all {
		if len(msg) < unixDiagLen {
			continue
		}
		is, owner, told := false, uint32(0), false
		netlink.EachAttribute(msg[unixDiagLen:], func(typ uint16, v []byte) {
			switch {
			case typ == diagName:
				is = string(v) == "\x00"+name
			case typ == diagUID && len(v) == 4:
				owner, told = native.Uint32(v), true
			}
		})
		if is && told {
			return owner, true, nil
		}
	}
	return 0, false, nil
}
