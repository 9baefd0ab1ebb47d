package runtimes

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/podnet/podnet/state/files"
)

// nomadConfDir is where Nomad looks for network configurations if it is told nothing.
const nomadConfDir = "/opt/cni/config"

// readNomad reads the agent's files in /etc/nomad.d in the order of their names; the last word
// counts. An agent that is no client runs no containers.
func readNomad(f *reader) (*Runtime, error) {
	f.runtime = "Nomad"
	r := &Runtime{Name: f.runtime}
	paths, err := filepath.Glob(f.at("/etc/nomad.d/*"))
	if err != nil {
		return nil, f.unreadable(f.at("/etc/nomad.d"), err)
	}
	slices.Sort(paths)
	client := table{"cni_path": DefaultPluginDir, "cni_config_dir": nomadConfDir}
	for _, path := range paths {
		if ext := filepath.Ext(path); ext != ".hcl" && ext != ".json" {
			continue
		}
		data, err := files.ReadFile(path, mostConfig)
		if err != nil {
			return nil, f.unreadable(path, err)
		}
		for name, value := range nomadClient(string(data)) {
			if client[name] = value; strings.HasPrefix(name, "cni_") {
				r.Config = path
			}
		}
	}
	if client["enabled"] != true {
		return nil, nil
	}
	path, dirs, conf := r.Config, "", ""
	if err := f.text(path, client, "cni_path", &dirs); err != nil {
		return nil, err
	}
	if err := f.text(path, client, "cni_config_dir", &conf); err != nil {
		return nil, err
	}
	return r, f.place(r, path, conf, strings.Split(dirs, ":"))
}

// nomadToken is a word of HCL or JSON, a comment included.
var nomadToken = regexp.MustCompile(`#[^\n]*|//[^\n]*|(?s:/\*.*?\*/)|"(?:\\.|[^"\\])*"|[\w.-]+|[{}=:]`)

// nomadClient is what the block client of a file says of the fields that matter here. The file is
// HCL or JSON, which name and nest fields alike. A value that is no text or truth value is kept as
// nil.
func nomadClient(text string) table {
	fields := table{"enabled": nil, "cni_path": nil, "cni_config_dir": nil}
	said := table{}
	var blocks []string // that the word is in; a JSON file is one without a name
	name, assigned := "", false
	for _, word := range nomadToken.FindAllString(text, -1) {
		plain := strings.Trim(word, `"`)
		switch {
		case strings.HasPrefix(word, "#"), strings.HasPrefix(word, "//"), strings.HasPrefix(word, "/*"):
		case word == "{":
			blocks, name, assigned = append(blocks, name), "", false
		case word == "}":
			blocks, name, assigned = blocks[:max(0, len(blocks)-1)], "", false
		case word == "=", word == ":":
			assigned = true
		case assigned:
			_, matters := fields[name]
			if matters &&
				slices.Equal(slices.DeleteFunc(slices.Clone(blocks), func(b string) bool { return b == "" }), []string{"client"}) {
				said[name] = nomadValue(word)
			}
			name, assigned = "", false
		case name == "": // behind a block's name comes a label
			name = plain
		}
	}
	return said
}

func nomadValue(word string) any {
	switch {
	case word == "true":
		return true
	case word == "false":
		return false
	case strings.HasPrefix(word, `"`):
		return strings.Trim(word, `"`)
	}
	return nil
}
