package main

import (
	"fmt"
	"io"
	"strings"
)

// bar shows how far long work has come, on a terminal and nowhere else. The work never waits for
// the terminal: a goroutine writes to it, and what comes while that is held up is not shown.
type bar struct {
	steps chan string // nil: not a terminal
	done  chan struct{}
}

const (
	barWidth = 40
	barFrom  = 5000 // objects: less is done before anybody could read it
)

func newBar(w io.Writer) *bar {
	if terminalOf(w) == nil {
		return &bar{}
	}
	return drawBar(w)
}

func drawBar(w io.Writer) *bar {
	b := &bar{steps: make(chan string, 1), done: make(chan struct{})}
	go func() {
		defer close(b.done)
		shown := false
		for text := range b.steps {
			fmt.Fprint(w, text)
			shown = true
		}
		if shown { // the line is left to what comes next
			fmt.Fprint(w, "\r\x1b[K")
		}
	}()
	return b
}

func (b *bar) show(done, total int) {
	if b.steps == nil || total < barFrom {
		return
	}
	full := barWidth * done / total
	select {
	case b.steps <- fmt.Sprintf("\r[%s%s] %d of %d objects", strings.Repeat("#", full), strings.Repeat(".", barWidth-full),
		done, total):
	default:
	}
}

// clear ends it, and waits until the terminal has taken what was shown.
func (b *bar) clear() {
	if b.steps != nil {
		close(b.steps)
		<-b.done
	}
}
