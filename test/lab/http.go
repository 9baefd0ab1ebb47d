package lab

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// Get asks an HTTP server from within the namespace, as curl would there.
func (ns *Namespace) Get(ctx context.Context, addr, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	var conn net.Conn
	// A socket belongs to the namespace of the thread that opens it; http.Client would open it on
	// any thread.
	err = ns.Do(func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return err
	})
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		return 0, "", err
	}
	if err := request.Write(conn); err != nil {
		return 0, "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), err
}
