package main

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// mostConnections is how many callers a listener has at a time: one that asks again and again holds
// one.
const mostConnections = 32

// connections bounds how many connections a server keeps. The oldest idle one is closed to make
// room for a new one, so that whoever holds many keeps nobody else out.
type connections struct {
	mu   sync.Mutex
	open []net.Conn // the one that was used longest ago first
}

// changed is a server's ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = slices.DeleteFunc(c.open, func(other net.Conn) bool { return other == conn })
	if state == http.StateClosed || state == http.StateHijacked {
		return
	}
	c.open = append(c.open, conn)
	if len(c.open) > mostConnections {
		c.open[0].Close() // the server reports that it is closed
		c.open = c.open[1:]
	}
}
