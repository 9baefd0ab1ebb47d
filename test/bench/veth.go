package main

import (
	"encoding/json"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// veth makes a pair with one end in another namespace, which takes it away again when it ends, and
// returns how long the kernel took.
func (s *socket) veth(netns string) (time.Duration, error) {
	const vethPeer = 1 // VETH_INFO_PEER
	pod, err := os.Open(netns)
	if err != nil {
		return 0, err
	}
	defer pod.Close()
	header := make([]byte, unix.SizeofIfInfomsg)
	peer := request(header).attr(unix.IFLA_IFNAME, []byte("eth0\x00")).number(unix.IFLA_NET_NS_FD, uint32(pod.Fd()))
	data := request(nil).attr(vethPeer, peer)
	info := request(nil).attr(unix.IFLA_INFO_KIND, []byte("veth")).attr(unix.IFLA_INFO_DATA, data)
	r := newRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, header...).
		attr(unix.IFLA_IFNAME, []byte("bare-veth\x00")).attr(unix.IFLA_LINKINFO, info)
	begin := time.Now()
	err = s.do(r)
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	return took, s.do(newRequest(unix.RTM_DELLINK, 0, header...).attr(unix.IFLA_IFNAME, []byte("bare-veth\x00")))
}

// rawJSON puts a text into an object as it is.
func rawJSON(text string) json.RawMessage { return json.RawMessage(text) }
