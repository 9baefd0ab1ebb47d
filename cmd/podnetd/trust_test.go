package main

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestWarnOpen(t *testing.T) {
	for address, warns := range map[string]bool{
		"127.0.0.1:9472": false, "[::1]:9472": false, "localhost:9472": false, "": false,
		":9472": true, "0.0.0.0:9472": true, "192.0.2.11:9472": true, "[::]:9472": true, "node-a:9472": true,
	} {
		var said bytes.Buffer
		warnOpen(slog.New(slog.NewTextHandler(&said, nil)), "--metrics-addr", address)
		if (said.Len() > 0) != warns {
			t.Errorf("%q: said %q, want a warning: %v", address, &said, warns)
		}
	}
}
