package docs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/test/lab"
)

// pages are all Markdown files of the source tree.
func pages(t *testing.T) []string {
	t.Helper()
	root := lab.SourceTree()
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if d.IsDir() && (name == "bin" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".md") {
			found = append(found, name)
		}
		return err
	})
	must(t, err)
	return found
}

// No page and no block goes without somebody who runs it.
func TestEveryBlockIsRun(t *testing.T) {
	known := map[string]runner{}
	for _, r := range runners() {
		known[r.page] = r
	}
	for _, page := range pages(t) {
		blocks, err := readPage(page)
		must(t, err)
		r, is := known[page]
		delete(known, page)
		switch {
		case len(blocks) == 0:
		case !is:
			t.Errorf("%s:%d: nobody runs this: add the page to the runners", page, blocks[0].line)
		case r.by != "":
			runsElsewhere(t, r)
		default:
			for _, b := range blocks {
				isRun(t, r, b)
			}
		}
	}
	for page := range known {
		t.Errorf("%s is among the runners, and not in the source tree", page)
	}
}

// runsElsewhere looks whether the test of another directory knows the page.
func runsElsewhere(t *testing.T, r runner) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(lab.SourceTree(), r.by, "*"))
	must(t, err)
	if !slices.ContainsFunc(files, func(file string) bool {
		data, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(data), strings.TrimSuffix(filepath.Base(r.page), ".md"))
	}) {
		t.Errorf("%s: nothing in %s speaks of it", r.page, r.by)
	}
}

// isRun checks a block of a page that is run here: a console with known prompts, or a text to look
// at.
func isRun(t *testing.T, r runner, b block) {
	t.Helper()
	switch b.language {
	case console:
		steps, err := b.steps()
		if err != nil {
			t.Errorf("%s: %v", r.page, err)
		}
		for _, s := range steps {
			if s.host != everyone && !slices.Contains(r.servers, s.host) {
				t.Errorf("%s:%d: no server is called %s", r.page, s.line, s.host)
			}
		}
	case yaml:
		if content := strings.Join(b.lines, "\n") + "\n"; strings.Contains(content, "kind: ClusterTopology") {
			if _, err := schema.Parse(r.page, []byte(content)); err != nil {
				t.Errorf("%s:%d: %v", r.page, b.line, err)
			}
		}
	case text:
	case indented:
		if !r.plain {
			t.Errorf("%s:%d: commands belong into a console block, with the prompt of a server", r.page, b.line)
		}
	default:
		t.Errorf("%s:%d: a block in %q: console is run, yaml and text are shown", r.page, b.line, b.language)
	}
}

// The targets that pages name are those of the Makefile; running them is for CI.
func TestMakeTargets(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(lab.SourceTree(), name))
		must(t, err)
		return string(data)
	}
	makefile := read("Makefile")
	for _, page := range pages(t) {
		for _, named := range regexp.MustCompile("(?m)(?:^    |`)make ([a-z0-9]+)").FindAllStringSubmatch(read(page), -1) {
			if !strings.Contains(makefile, "\n"+named[1]+":") {
				t.Errorf("%s: there is no target %s in the Makefile", page, named[1])
			}
		}
	}
}

// Commands in the middle of a sentence are spelled as the programs know them.
func TestInlineCommands(t *testing.T) {
	if err := lab.RequirePrograms("podnetctl"); err != nil {
		t.Skip(err)
	}
	inline := regexp.MustCompile("`podnetctl ([a-z]+)([^`]*)`")
	seen := 0
	for _, page := range pages(t) {
		data, err := os.ReadFile(filepath.Join(lab.SourceTree(), page))
		must(t, err)
		for _, m := range inline.FindAllStringSubmatch(string(data), -1) {
			seen++
			help, err := exec.Command(lab.Program("podnetctl"), m[1], "--help").CombinedOutput()
			for _, flag := range append(regexp.MustCompile(`--[a-z-]+`).FindAllString(m[2], -1), "podnetctl "+m[1]) {
				if err != nil || !strings.Contains(string(help), flag) {
					t.Errorf("%s: %s: podnetctl does not know %s (%v)", page, m[0], flag, err)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d commands found", seen)
	}
}

// What a link of a page points to is there.
func TestLinks(t *testing.T) {
	for _, page := range pages(t) {
		data, err := os.ReadFile(filepath.Join(lab.SourceTree(), page))
		must(t, err)
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)#?([^)]*)\)`).FindAllStringSubmatch(string(data), -1) {
			target := filepath.Join(lab.SourceTree(), filepath.Dir(page), link[1])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: a link to %s: %v", page, link[1], err)
			} else if link[2] != "" && !slices.Contains(anchors(t, target), link[2]) {
				t.Errorf("%s: a link to %s: no heading is #%s", page, link[1], link[2])
			}
		}
	}
}

// anchors are the headings of a page as links to them are written.
func anchors(t *testing.T, page string) []string {
	t.Helper()
	data, err := os.ReadFile(page)
	must(t, err)
	var all []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(data), -1) {
		plain := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

// The troubleshooting page knows whatever doctor can find.
func TestFindings(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(lab.SourceTree(), "cmd/podnetctl/README.md"))
	must(t, err)
	for _, id := range lab.Findings(t) {
		if !strings.Contains(string(page), "`"+id+"`") {
			t.Errorf("the page does not know %s", id)
		}
	}
}
