package main

import (
	"bytes"
	"io"
	"os"
	"slices"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/document"
	"golang.org/x/term"
)

// terminal is standard output if it is one.
func (c *cli) terminal() *os.File {
	return terminalOf(c.out)
}

// liveScreen is the status on a terminal's other screen, which leaves what was there before as it
// was.
type liveScreen struct {
	*cli
	node     *node
	terminal *os.File
	passes   []document.PassStatus // newest first
}

// What a terminal does with these: the other screen, the cursor, and from where to clear.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	topLeft     = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

func (l *liveScreen) open()  { _, _ = io.WriteString(l.terminal, enterScreen) } // show says what fails
func (l *liveScreen) close() { _, _ = io.WriteString(l.terminal, leaveScreen) }

// mostPasses is how many are remembered.
const mostPasses = 50

// show draws over what is there, line by line, so that nothing flickers.
func (l *liveScreen) show(s screen.Status) error {
	if s.Daemon != nil && (len(l.passes) == 0 || !l.passes[0].At.Equal(s.LastPass.At)) {
		l.passes = slices.Insert(l.passes, 0, s.LastPass)
		l.passes = l.passes[:min(len(l.passes), mostPasses)]
	}
	l.node.furnish(&s)
	var page bytes.Buffer
	if err := screen.WriteWatch(&page, l.style(), s, l.passes); err != nil {
		return err
	}
	_, height, err := term.GetSize(int(l.terminal.Fd()))
	if err != nil {
		return err
	}
	rows := bytes.Split(bytes.TrimSuffix(page.Bytes(), []byte("\n")), []byte("\n"))
	rows = rows[:min(len(rows), height)]
	drawn := append([]byte(topLeft), bytes.Join(rows, []byte(clearLine+"\r\n"))...)
	_, err = l.terminal.Write(append(drawn, clearLine+clearBelow...))
	return err
}
