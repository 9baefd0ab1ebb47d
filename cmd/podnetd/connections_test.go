package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// Whoever opens many connections and leaves them open keeps nobody out, and has only so many of
// them.
func TestIdleConnections(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	listenAndServe(t.Context(), address, handler, slog.New(slog.DiscardHandler))
	var held []net.Conn
	for range 4 * mostConnections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	closed := 0
	for _, c := range held {
		if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == io.EOF {
			closed++
		}
	}
	if kept := len(held) - closed; kept >= mostConnections {
		t.Errorf("%d idle connections are kept, want fewer than %d", kept, mostConnections)
	}
}
