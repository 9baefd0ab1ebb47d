package lab

import "fmt"

// TakePort has a program listen on a UDP port of the node for a minute, or until it is ended.
func (n *Node) TakePort(port int) {
	n.lab.Helper()
	const listen = `use IO::Socket::INET; my $s = IO::Socket::INET->new(Proto => "udp", LocalPort => %d) or die; print "ready\n"; close STDOUT; sleep 60`
	out := n.Root + "/listens"
	n.Must("sh", "-c",
		"perl -e '"+fmt.Sprintf(listen, port)+"' >"+out+" 2>&1 & until grep -q . "+out+"; do sleep 0.1; done")
}
