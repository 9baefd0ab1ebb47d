package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/podnet/podnet/test/lab"
)

// step is one command of a page, and what the page says that it answers.
type step struct {
	line    int    // of the page
	host    string // whose prompt it stands behind; everyone is each node in turn
	command string // for a shell, here-documents and continued lines included
	says    []string
	exit    int
	either  bool // exit code 0 or 1: the page says nothing of the answer
}

// everyone is the host name of a prompt that stands for every node.
const everyone = "all"

// block is a fenced or indented block of a page. Readers do not see what a comment that begins with
// "test" holds: what has to go wrong before the next command finds it.
type block struct {
	line     int
	language string
	lines    []string
}

// The languages of blocks: what is run, and what is shown only. A topology that is shown has to be
// valid.
const (
	console  = "console"
	yaml     = "yaml"
	text     = "text"
	indented = "indented"
)

var (
	prompt  = regexp.MustCompile(`^([a-z][a-z0-9-]*)# (.+)$`)
	heredoc = regexp.MustCompile(`<<'?([A-Z]+)'?`)
	exits   = regexp.MustCompile(`^\(exit (\d+)\)$`)
)

// readPage returns the blocks of a page of the source tree.
func readPage(path string) ([]block, error) {
	data, err := os.ReadFile(filepath.Join(lab.SourceTree(), path))
	if err != nil {
		return nil, err
	}
	var blocks []block
	end, previous := "", ""
	for i, line := range strings.Split(string(data), "\n") {
		last := len(blocks) - 1
		switch {
		case end != "" && strings.TrimSpace(line) == end:
			end = ""
		case end != "":
			blocks[last].lines = append(blocks[last].lines, line)
		case strings.HasPrefix(line, "```"):
			end = "```"
			blocks = append(blocks, block{line: i + 1, language: strings.TrimPrefix(line, "```")})
		case strings.TrimSpace(line) == "<!-- test":
			end = "-->"
			blocks = append(blocks, block{line: i + 1, language: console})
		case strings.HasPrefix(line, "    ") && last >= 0 && blocks[last].language == indented && strings.HasPrefix(previous, "    "):
			blocks[last].lines = append(blocks[last].lines, line)
		case strings.HasPrefix(line, "    ") && (previous == "" || previous == "-->"):
			blocks = append(blocks, block{line: i + 1, language: indented, lines: []string{line}})
		}
		previous = line
	}
	if end != "" {
		return nil, fmt.Errorf("%s: the last block has no end", path)
	}
	return blocks, nil
}

// plain are the commands of an indented block, which has no prompts and no answers: one a line, a
// comment behind it, what may be left out in brackets. Those of make are for CI (TestMakeTargets).
func (b block) plain(host string) []step {
	var all []step
	for i, line := range b.lines {
		command, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if !strings.HasPrefix(command, "make ") {
			all = append(all, step{line: b.line + i, host: host, command: strings.NewReplacer("[", "", "]", "").Replace(command), either: true})
		}
	}
	return all
}

// steps are the commands of a console block.
func (b block) steps() ([]step, error) {
	var all []step
	open := "" // the word that ends a here-document, or a backslash
	for i, line := range b.lines {
		at := len(all) - 1
		start := prompt.FindStringSubmatch(line)
		code := exits.FindStringSubmatch(line)
		switch {
		case open != "":
			all[at].command += "\n" + line
			if line == open || open == `\` && !strings.HasSuffix(line, `\`) {
				open = ""
			}
		case start != nil:
			all = append(all, step{line: b.line + 1 + i, host: start[1], command: start[2]})
			if strings.HasSuffix(line, `\`) {
				open = `\`
			} else if word := heredoc.FindStringSubmatch(line); word != nil {
				open = word[1]
			}
		case at < 0:
			return nil, fmt.Errorf("line %d: a console block begins with a prompt such as \"node-a# \"", b.line+1+i)
		case code != nil:
			all[at].exit, _ = strconv.Atoi(code[1])
		default:
			all[at].says = append(all[at].says, line)
		}
	}
	return all, nil
}

// variable is what differs from run to run: digests, processes, times, the names of host veths.
var variable = []struct {
	is *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`sha256:[0-9a-f]+`), "sha256:DIGEST"},
	{regexp.MustCompile(`\bpid \d+`), "pid N"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\b\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`\b(\d+(\.\d+)? ?(µs|ms|s|m|h|d))+\b`), "DURATION"},
	{regexp.MustCompile(`\bveth[0-9a-f]{11}\b`), "VETH"},
	{regexp.MustCompile(`podnetd [^ ]+ `), "podnetd VERSION "},
	{regexp.MustCompile(`\s+`), " "},
}

func normal(line string) string {
	for _, v := range variable {
		line = v.is.ReplaceAllString(line, v.as)
	}
	return strings.TrimSpace(line)
}

// matches compares an output with what a page says. A line "..." stands for any lines, "..." in a
// line for any text; a page that says nothing leaves it open.
func matches(says []string, output string) error {
	var pattern strings.Builder
	pattern.WriteString(`\A`)
	for _, line := range says {
		line = normal(line)
		switch {
		case line == "":
		case line == "...":
			pattern.WriteString(`(?:.*\n)*?`)
		default:
			pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`) + `\n`)
		}
	}
	pattern.WriteString(`\z`)
	var got strings.Builder
	for line := range strings.Lines(output) {
		if line = normal(line); line != "" {
			got.WriteString(line + "\n")
		}
	}
	if len(says) == 0 || regexp.MustCompile(pattern.String()).MatchString(got.String()) {
		return nil
	}
	return fmt.Errorf("the page says\n%s\nand it is\n%s", strings.Join(says, "\n"), output)
}
