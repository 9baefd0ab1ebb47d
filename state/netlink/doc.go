// Package netlink talks to the kernel over netlink sockets: it has one framing for every program,
// and encodes and decodes links, addresses, routes and neighbours.
//
// A Message is a request under construction. A Conn sends messages, many in one system call, and
// matches what the kernel answers by sequence number. Exchange returns each message's answer, for
// programs that send a few. Apply, Ask and Dump are for objects that come by the thousand: they
// encode into a Batch that is used again and hand each answer's body over where it was received, so
// that a message costs no allocation. Transact makes a transaction of netfilter of many messages.
//
// A Conn's socket is one that the Go runtime's poller does not know. The poller would wake a thread
// for every answer, which costs a short process more than the kernel's work does; the answer to a
// request is in the socket when the send returns. Start reading at conn.go.
package netlink
