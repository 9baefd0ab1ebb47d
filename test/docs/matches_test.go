package docs

import (
	"slices"
	"testing"
)

func TestMatches(t *testing.T) {
	const output = "node-a   IN SYNC   2 peers\n\nTopology  sha256:24f7fd571ef7  loaded 3s ago\nDaemon    podnetd 1.0 pid 7\n"
	for _, c := range []struct {
		says []string
		want bool
	}{
		{nil, true},
		{[]string{"..."}, true},
		{[]string{"node-a IN SYNC 2 peers", "..."}, true},
		{[]string{"node-a IN SYNC 3 peers", "..."}, false},
		{[]string{"...", "Topology sha256:9b20f1c46e1d loaded 1m59s ago", "..."}, true},
		{[]string{"node-a IN SYNC ...", "", "Topology  sha256:9b20f1c46e1d  loaded 12d ago", "Daemon    podnetd 1.0.2  pid 812"}, true},
		{[]string{"node-a   IN SYNC   2 peers"}, false}, // there is more
		{[]string{"...", "Daemon    podnetd ...", "..."}, true},
		{[]string{"Topology ...", "..."}, false}, // not at the beginning
		{[]string{"...", "Daemon ...", "Topology ..."}, false},
	} {
		if err := matches(c.says, output); (err == nil) != c.want {
			t.Errorf("%q: %v", c.says, err)
		}
	}
}

func TestSteps(t *testing.T) {
	steps, err := block{line: 10, lines: []string{
		"node-a# cat >f <<'EOF'", "node-b# not a prompt", "EOF", `all# ls \`, "  -l", "file", "(exit 2)",
	}}.steps()
	want := []step{
		{line: 11, host: "node-a", command: "cat >f <<'EOF'\nnode-b# not a prompt\nEOF"},
		{line: 14, host: everyone, command: "ls \\\n  -l", says: []string{"file"}, exit: 2},
	}
	same := func(a, b step) bool {
		return a.line == b.line && a.host == b.host && a.command == b.command && a.exit == b.exit && slices.Equal(a.says, b.says)
	}
	if err != nil || !slices.EqualFunc(steps, want, same) {
		t.Errorf("%+v, %v", steps, err)
	}
	if _, err := (block{lines: []string{"ls"}}).steps(); err == nil {
		t.Error("a console block without a prompt passes")
	}
}
