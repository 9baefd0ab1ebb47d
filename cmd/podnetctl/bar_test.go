package main

import (
	"strings"
	"testing"
)

func TestBar(t *testing.T) {
	var out strings.Builder
	b := drawBar(&out)
	b.show(100, 200)
	b.clear()
	if out.Len() > 0 {
		t.Errorf("short work shows %q", out.String())
	}
	b = drawBar(&out)
	b.show(7500, 30000)
	b.clear()
	want := "\r[##########..............................] 7500 of 30000 objects\r\x1b[K"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	silent := newBar(&out) // not a terminal
	silent.show(1, 30000)
	silent.clear()
}

// A terminal that takes nothing does not hold the work up.
func TestBarOnAStoppedTerminal(t *testing.T) {
	free := make(chan struct{})
	out := &onWrite{do: func() { <-free }}
	b := drawBar(out)
	for done := range 100 {
		b.show(done, 30000)
	}
	close(free)
	if b.clear(); !strings.HasSuffix(out.String(), "\x1b[K") {
		t.Errorf("shown in the end: %q", out.String())
	}
}
