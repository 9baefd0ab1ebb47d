package main

import (
	"strings"
	"testing"
)

func TestBar(t *testing.T) {
	var out strings.Builder
	b := &bar{w: &out}
	b.show(100, 200)
	b.clear()
	if out.Len() > 0 {
		t.Errorf("short work shows %q", out.String())
	}
	b.show(7500, 30000)
	want := "\r[##########..............................] 7500 of 30000 objects"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if b.clear(); !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Error("the line is not cleared")
	}
	silent := &bar{}
	silent.show(1, 30000) // not a terminal
	silent.clear()
}
