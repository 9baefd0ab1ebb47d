package pkg

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// page is a manual page as text.
func page(t *testing.T, name string) string {
	t.Helper()
	requires(t, "mandoc", "mandoc")
	dir := "man" + name[len(name)-1:]
	text := output(t, "sh", "-c", "zcat "+filepath.Join(lab.SourceTree(), "bin/package/man", dir, name+".gz")+" | mandoc -T ascii")
	return regexp.MustCompile(".\x08").ReplaceAllString(text, "") // bold is a letter, a step back, and the letter again
}

// Each verb has a page, and it names each of the verb's flags.
func TestManualNamesEveryVerbAndFlag(t *testing.T) {
	verbs := regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z]`).FindAllStringSubmatch(output(t, lab.Program("podnetctl"), "--help"), -1)
	if len(verbs) < 10 {
		t.Fatalf("%d verbs in podnetctl --help", len(verbs))
	}
	for _, verb := range verbs {
		if verb[1] != "help" {
			sameFlags(t, page(t, "podnetctl-"+verb[1]+".8"), output(t, lab.Program("podnetctl"), verb[1], "--help"), verb[1])
		}
	}
	help, _ := exec.Command(lab.Program("podnetd"), "--help").CombinedOutput() // its exit code is not the point
	sameFlags(t, page(t, "podnetd.8"), string(help), "podnetd")
}

func sameFlags(t *testing.T, page, help, of string) {
	t.Helper()
	for _, flag := range regexp.MustCompile(`(?m)^ +(?:-., +)?(--[a-z-]+)`).FindAllStringSubmatch(help, -1) {
		if flag[1] != "--help" && !strings.Contains(page, flag[1]) {
			t.Errorf("the page of %s does not name %s", of, flag[1])
		}
	}
}

// The page of the topology names every field of the schema, by its path or among those of its
// parent.
func TestManualNamesEveryField(t *testing.T) {
	text := page(t, "podnet-topology.5")
	type object struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Items      json.RawMessage            `json:"items"`
	}
	var look func(path string, raw json.RawMessage)
	look = func(path string, raw json.RawMessage) {
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			return // true, or a list of types
		}
		if o.Items != nil {
			look(path+"[]", o.Items)
		}
		for name, property := range o.Properties {
			look(strings.TrimPrefix(path+"."+name, "."), property)
		}
		leaf := path[strings.LastIndexByte(path, '.')+1:]
		if o.Properties == nil && o.Items == nil && !strings.Contains(text, path) &&
			!(strings.HasPrefix(path, "network.nodeCIDRMaskSize.") && strings.Contains(text, leaf)) && !strings.HasSuffix(path, "[]") {
			t.Errorf("podnet-topology(5) does not name %s", path)
		}
	}
	look("", json.RawMessage(output(t, lab.Program("podnetctl"), "schema")))
}

func TestManualIsWellFormed(t *testing.T) {
	requires(t, "mandoc", "mandoc")
	pages, _ := filepath.Glob(filepath.Join(lab.SourceTree(), "bin/package/man/man*/*.gz"))
	if len(pages) < 15 {
		t.Fatalf("%d manual pages", len(pages))
	}
	for _, p := range pages {
		output(t, "sh", "-c", "zcat "+p+" | mandoc -T lint -W error")
	}
}
