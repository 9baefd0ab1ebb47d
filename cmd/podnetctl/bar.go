package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// bar shows how far long work has come, on a terminal and nowhere else.
type bar struct {
	w     io.Writer // nil: not a terminal
	shown bool
}

const (
	barWidth = 40
	barFrom  = 5000 // objects: less is done before anybody could read it
)

func (c *cli) bar() *bar {
	f, ok := c.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &bar{}
	}
	return &bar{w: f}
}

func (b *bar) show(done, total int) {
	if b.w == nil || total < barFrom {
		return
	}
	b.shown = true
	full := barWidth * done / total
	fmt.Fprintf(b.w, "\r[%s%s] %d of %d objects", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done, total)
}

// clear leaves the line to what comes next.
func (b *bar) clear() {
	if b.shown {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
