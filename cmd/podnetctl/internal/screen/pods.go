package screen

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Pod is a row of pods. What is not known is empty.
type Pod struct {
	Name, Container, IfName, HostVeth, Since string
	Addresses                                []string
	HostPorts                                []string // such as 8080/tcp to 10.244.1.2:80
	Trouble                                  string
}

// WritePods writes the screen of pods: a line each, further addresses below the first.
func WritePods(w io.Writer, style Style, pods []Pod) error {
	p := newPage(w, style)
	if len(pods) == 0 {
		p.line("", text("no pods"))
		return p.close()
	}
	columns := [][]string{{"ADDRESS"}, {"POD"}, {"CONTAINER"}, {"HOST VETH"}, {"SINCE"}}
	for _, pod := range pods {
		columns[0] = append(columns[0], pod.Addresses...)
		columns[1] = append(columns[1], pod.Name)
		columns[2] = append(columns[2], pod.Container)
		columns[3] = append(columns[3], pod.HostVeth)
		columns[4] = append(columns[4], pod.Since)
	}
	widths := make([]int, len(columns))
	for i, c := range columns {
		for _, s := range c {
			widths[i] = max(widths[i], utf8.RuneCountInString(s))
		}
	}
	if over := sum(widths) + 2*(len(widths)-1) - p.width; over > 0 {
		const least = 12
		widths[1] = max(least, widths[1]-over) // a name goes on below itself
	}
	p.podRow(widths, bold, "ADDRESS", "POD", "CONTAINER", "HOST VETH", "SINCE")
	troubled := 0
	for _, pod := range pods {
		p.pod(pod, widths)
		if pod.Trouble != "" {
			troubled++
		}
	}
	p.blank()
	summary := []span{{text: plural(len(pods), "pod")}}
	if troubled > 0 {
		summary = append(summary, text("   "), span{fmt.Sprintf("%d with TROUBLE", troubled), alarm})
	}
	p.line("", summary...)
	return p.close()
}

func sum(all []int) (total int) {
	for _, n := range all {
		total += n
	}
	return total
}

func (p *page) pod(pod Pod, widths []int) {
	names := p.wrapAnywhere(dash(pod.Name), widths[1])
	for i := range max(len(names), len(pod.Addresses), 1) {
		if i == 0 {
			p.podRow(widths, plain, dash(at(pod.Addresses, 0)), names[0], dash(pod.Container), dash(pod.HostVeth),
				dash(pod.Since))
			continue
		}
		p.podRow(widths, plain, at(pod.Addresses, i), at(names, i))
	}
	if len(pod.HostPorts) > 0 {
		for _, line := range p.wrap("host ports "+strings.Join(pod.HostPorts, ", "), 4) {
			p.line("", text("    %s", line))
		}
	}
	if pod.Trouble == "" {
		return
	}
	for i, line := range p.wrap(pod.Trouble, 4) {
		mark := span{"  ! ", alarm}
		if i > 0 {
			mark = text("    ")
		}
		p.line("", mark, text("%s", line))
	}
}

func (p *page) podRow(widths []int, hue hue, cells ...string) {
	var b strings.Builder
	for i, c := range cells {
		fmt.Fprintf(&b, "%-*s  ", widths[i], c)
	}
	p.line("", span{strings.TrimRight(b.String(), " "), hue})
}

// wrapAnywhere breaks a name, which has no blanks.
func (p *page) wrapAnywhere(s string, width int) (lines []string) {
	for len(s) > width {
		lines, s = append(lines, s[:byteOf(s, width)]), s[byteOf(s, width):]
	}
	return append(lines, s)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
