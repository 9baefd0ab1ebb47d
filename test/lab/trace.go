package lab

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// Trace is what a program and its children told the kernel.
type Trace struct {
	Output
	Sent   map[string]int // netlink messages by type, as strace names them
	Opened []string       // files opened for writing
}

var (
	messageType  = regexp.MustCompile(`nlmsg_type=([^,]+),`)
	openForWrite = regexp.MustCompile(`open(?:at)?\(.*"([^"]*)", [^)]*O_(?:WRONLY|RDWR)`)
)

// Traced runs a command on the node under strace, which decodes every netlink message that it
// sends.
func (n *Node) Traced(args ...string) Trace {
	n.lab.Helper()
	file, err := os.CreateTemp("", "strace")
	n.lab.must(err)
	file.Close()
	defer os.Remove(file.Name())
	// Nothing may be abbreviated: one write can carry hundreds of messages.
	strace := []string{"strace", "-f", "-qq", "-v", "-s", "1000000",
		"-e", "trace=sendto,sendmsg,sendmmsg,write,open,openat", "-o", file.Name()}
	t := Trace{Sent: map[string]int{}, Output: n.Execute(append(strace, args...)...)}
	data, err := os.ReadFile(file.Name())
	n.lab.must(err)
	for _, line := range strings.Split(string(data), "\n") {
		for _, m := range messageType.FindAllStringSubmatch(line, -1) {
			t.Sent[m[1]]++
		}
		if m := openForWrite.FindStringSubmatch(line); m != nil {
			t.Opened = append(t.Opened, m[1])
		}
	}
	slices.Sort(t.Opened)
	t.Opened = slices.Compact(t.Opened)
	return t
}

// Mutating are the messages that ask the kernel to change something: all that are no question.
func (t Trace) Mutating() map[string]int {
	mutating := map[string]int{}
	for kind, count := range t.Sent {
		question := strings.Contains(kind, "_GET") || strings.Contains(kind, "SOCK_DIAG") || kind == "NLMSG_DONE"
		if !question {
			mutating[kind] = count
		}
	}
	return mutating
}
