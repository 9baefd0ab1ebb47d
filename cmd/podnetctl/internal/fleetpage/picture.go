package fleetpage

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/podnet/podnet/reconcile/fleet"
)

// picture is the cluster: rows of nodes, each row on a line, the lines on one trunk. Everything is
// in units of the drawing.
type picture struct {
	Width, Height, Trunk int
	Detail               string // large, medium or small
	Room                 string // wide or narrow: which window it is for
	Tiles                []tile
	Lines                []line
	Use                  bool // some node says how many of its addresses are in use
}

// line is a piece of the network that joins the nodes.
type line struct{ X1, Y1, X2, Y2 int }

// tile is one node.
type tile struct {
	X, Y, W, H   int
	State        string
	Symbol, Name string
	Title        string // everything, for whoever points at it
	Texts        []label
	Bar          *bar // nil: nobody knows how many addresses are in use
}

type label struct {
	Y    int
	Text string
}

// bar is how full the node's range is.
type bar struct {
	X, Y, W, H, Used int
	State            string
	Text             string // "": there is no room for it
}

// size is how large tiles are, by how many there are: few nodes with all there is to say, many so
// that one sees them all.
type size struct {
	detail        string
	most          int // nodes; 0: any number
	columns       int
	narrow        int // columns where there is no room for those, as on a telephone
	width, height int
	letters       int // of a name
	lines         int // of text below the name
	first, text   int // the first line's place, and how far apart they are
}

var sizes = [...]size{
	{"large", 12, 4, 2, 220, 124, 19, 3, 40, 16},
	{"medium", 60, 6, 2, 150, 74, 14, 2, 36, 14},
	{"small", 0, 10, 3, 96, 50, 10, 1, 32, 11},
}

const (
	gap    = 10
	margin = 24 // the trunk's
	hang   = 14 // from a row's line down to its nodes
)

// draw draws it twice: for a wide window and for a narrow one.
func draw(s *fleet.Status) []picture {
	z := sizes[len(sizes)-1]
	for _, candidate := range sizes {
		if len(s.Nodes) <= candidate.most {
			z = candidate
			break
		}
	}
	wide, narrow := z.draw(s, z.columns), z.draw(s, z.narrow)
	wide.Room, narrow.Room = "wide", "narrow"
	return []picture{wide, narrow}
}

func (z size) draw(s *fleet.Status, columns int) picture {
	columns = min(columns, len(s.Nodes))
	rows := (len(s.Nodes) + columns - 1) / columns
	pitch := z.height + hang + gap
	p := picture{Width: margin + columns*(z.width+gap), Height: rows*pitch + gap, Trunk: margin / 2, Detail: z.detail}
	p.Lines = append(p.Lines, line{p.Trunk, gap, p.Trunk, (rows-1)*pitch + gap})
	if rows == 1 {
		p.Trunk = margin + z.width/2 // there is none: the line begins above the first node
	}
	for row := range rows {
		y := row*pitch + gap
		inRow := min(columns, len(s.Nodes)-row*columns)
		p.Lines = append(p.Lines, line{p.Trunk, y, margin + (inRow-1)*(z.width+gap) + z.width/2, y})
	}
	for i, r := range s.Nodes {
		x, y := margin+i%columns*(z.width+gap), i/columns*pitch+gap
		p.Lines = append(p.Lines, line{x + z.width/2, y, x + z.width/2, y + hang})
		t := z.tile(s, r, x, y+hang)
		p.Use = p.Use || t.Bar != nil
		p.Tiles = append(p.Tiles, t)
	}
	return p
}

func (z size) tile(s *fleet.Status, r fleet.Report, x, y int) tile {
	t := tile{X: x, Y: y, W: z.width, H: z.height, Name: shortName(r.Node, z.letters)}
	t.State, t.Symbol = stateOf(s, r)
	texts := append([]string{r.IP}, r.PodCIDRs...)
	if z.lines <= len(r.PodCIDRs) {
		texts = r.PodCIDRs
	}
	for i, said := range texts[:min(z.lines, len(texts))] {
		t.Texts = append(t.Texts, label{z.first + i*z.text, shorten(said, z.letters+z.letters/2)})
	}
	all := append([]string{r.Node, r.IP}, r.PodCIDRs...)
	all = append(all, use(r), r.Reason, r.Detail)
	t.Title = strings.Join(nonEmpty(all), "\n")
	t.Bar = z.bar(r)
	return t
}

// bar is that of the smaller family, which fills up first.
func (z size) bar(r fleet.Report) *bar {
	a, known := r.Addresses["ipv4"]
	if !known {
		a, known = r.Addresses["ipv6"]
	}
	if !known || a.Total <= 0 {
		return nil
	}
	const nearlyFull = 0.9
	b := &bar{X: 8, W: z.width - 16, H: 6, State: "use"}
	b.Y = z.height - b.H - 6
	part := min(float64(a.Used)/float64(a.Total), 1)
	if b.Used = int(part * float64(b.W)); b.Used == 0 && a.Used > 0 {
		b.Used = 1
	}
	if part >= nearlyFull {
		b.State = "full"
	}
	if z.detail == "large" {
		b.Text = fmt.Sprintf("%d of %d addresses", a.Used, a.Total)
		if a.Total >= endless {
			b.Text = fmt.Sprintf("%d addresses", a.Used)
		}
	}
	return b
}

func nonEmpty(all []string) []string {
	var out []string
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// shortName leaves the domain out first.
func shortName(name string, most int) string {
	if len(name) > most {
		name, _, _ = strings.Cut(name, ".")
	}
	return shorten(name, most)
}

// shorten keeps the beginning and the end of a long text, as names differ there.
func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	r := []rune(s)
	end := most / 2
	return string(r[:most-end-1]) + "…" + string(r[len(r)-end:])
}
