// Command demo shows what podnet does, on this machine and without touching it: nodes are network
// namespaces, each with a real podnetd, and pods get their network from the real plugins.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/podnet/podnet/test/lab"
)

func main() { os.Exit(lab.Isolate(lab.RunnerFunc(run))) }

// tools are what the demo calls besides podnet.
var tools = []string{"ip", "bridge", "ping", "iptables-save", "ip6tables-save"}

func run() (code int) {
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fail(fmt.Errorf("%s is missing: make demo, as root, installs it", tool))
		}
	}
	if err := lab.RequirePrograms("podnetd", "podnetctl", "cni/bridge", "cni/host-local", "cni/loopback"); err != nil {
		return fail(err)
	}
	r := &report{began: time.Now()}
	defer func() {
		var end *broken
		if p := recover(); p != nil {
			b, ok := p.(broken)
			if !ok {
				panic(p)
			}
			end = &b
		}
		code = r.summary(end)
	}()
	fmt.Println("Three nodes in network namespaces of this machine. Everything is gone when this ends.")
	s := &story{report: r, lab: lab.New(r)}
	s.start("node-a", "node-b", "node-c")
	s.connect()
	s.edit()
	s.damage()
	s.tornFile()
	s.badTemplates()
	s.teardown()
	return 0 // the deferred function has the last word
}
