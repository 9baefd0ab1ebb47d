package lab

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Flood is a stream of echo requests every 10 ms.
type Flood struct {
	pod   *Pod
	cmd   *exec.Cmd
	lines *os.File // ping's output so far
}

// Flood starts one to an address; Stop ends it.
func (p *Pod) Flood(addr string) *Flood {
	l := p.Node.lab
	l.Helper()
	out, err := os.CreateTemp("", "flood")
	l.must(err)
	f := &Flood{pod: p, cmd: exec.Command("ping", "-n", "-i", "0.01", addr), lines: out}
	f.cmd.Stdout = out
	l.must(p.Do(f.cmd.Start))
	f.awaitReply(0)
	return f
}

// Stop ends the stream after one more reply has come and returns how many were answered and which
// went unanswered.
func (f *Flood) Stop() (answered int, lost []int) {
	l := f.pod.Node.lab
	l.Helper()
	seen := f.awaitReply(len(f.replies()))
	l.must(f.cmd.Process.Signal(os.Interrupt))
	_ = f.cmd.Wait() // its code counts a request in flight as lost
	for seq := 1; seq <= maxKey(seen); seq++ {
		if !seen[seq] {
			lost = append(lost, seq)
		}
	}
	return len(seen), lost
}

// awaitReply waits until more than n requests have been answered, which also proves that the way is
// open at that time.
func (f *Flood) awaitReply(n int) (seen map[int]bool) {
	l := f.pod.Node.lab
	l.Helper()
	Eventually(l, Patience, "reply to the flood from pod "+f.pod.PodName, func() error {
		if seen = f.replies(); len(seen) <= n {
			return fmt.Errorf("%d replies", len(seen))
		}
		return nil
	})
	return seen
}

// replies are the sequence numbers answered so far; 65536 of them last ten minutes.
func (f *Flood) replies() map[int]bool {
	data, err := os.ReadFile(f.lines.Name())
	if err != nil {
		return nil
	}
	seen := map[int]bool{}
	for _, line := range strings.Split(string(data), "\n") {
		var seq int
		if _, after, ok := strings.Cut(line, "icmp_seq="); ok && strings.Contains(after, "time=") {
			if _, err := fmt.Sscan(after, &seq); err == nil {
				seen[seq] = true
			}
		}
	}
	return seen
}

func maxKey(m map[int]bool) int {
	highest := 0
	for k := range m {
		highest = max(highest, k)
	}
	return highest
}
