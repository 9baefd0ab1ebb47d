package main

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// parts shows what the time of an ADD consists of: what the operating system, Go and the kernel's
// veth take from any plugin, and what podnet adds.
func (b bench) parts(h host, add time.Duration) {
	program := b.emptyProgram()
	empty := b.median(5, func() (time.Duration, error) { return h.started(exec.Command(program)) })
	version := b.median(5, func() (time.Duration, error) {
		return h.started(h.Command("bridge", cnihost.Object{"cniVersion": "1.0.0"}.Text(), "COMMAND=VERSION"))
	})
	s, err := dialNamespace(h.Namespace, unix.NETLINK_ROUTE)
	b.must(err)
	defer s.close()
	link := b.median(1, func() (time.Duration, error) {
		p := h.Pod()
		defer h.Vanish(p)
		return s.veth(p.Path)
	})
	processor := b.median(1, func() (time.Duration, error) { return h.processor(h.Pod()) })
	lease := b.median(1, leased(filepath.Join(h.Dir, "parts")))
	b.alone("  of an ADD, floor: starting an empty static Go program", ms(empty))
	b.alone("  of an ADD, floor: one RTM_NEWLINK of a veth pair into a pod", ms(link))
	b.alone("  of an ADD: starting the plugin (VERSION), beyond that", ms(version-empty))
	b.alone("  of an ADD: the lease of two addresses (no fsync)", ms(lease))
	b.alone("  of an ADD: the rest (port, addresses, routes, settings, exit)", ms(add-version-link-lease))
	b.alone("  of an ADD: processor time of all its threads", ms(processor))
	b.ratio("  an ADD, by the floor", ms(add), ms(empty+link), float64(add)/float64(empty+link), 0)
}

// median measures so many times as pods are measured, or some times that.
func (b bench) median(times int, measure func() (time.Duration, error)) time.Duration {
	var all []time.Duration
	for range times * b.settings.pods {
		took, err := measure()
		b.must(err)
		all = append(all, took)
	}
	return median(all)
}

// started is how long a process takes, from its exec to its end.
func (h host) started(cmd *exec.Cmd) (time.Duration, error) {
	took, _, err := h.Timed(cmd)
	return took, err
}

// processor is what an ADD has of the processors: about as long as it takes if it waits for
// nothing.
func (h host) processor(p *cnihost.Pod) (time.Duration, error) {
	defer h.Vanish(p)
	cmd := h.Verb("ADD", p, h.conf)
	_, err := h.Finish(cmd)
	h.MustDel(p, h.conf)
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err
}

// emptyProgram builds it.
func (b bench) emptyProgram() string {
	program := filepath.Join(b.temp(), "empty")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "./test/bench/empty")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Dir = lab.SourceTree()
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return program
}

// leased takes leases of two addresses in this process, for another container each time.
func leased(dir string) func() (time.Duration, error) {
	sets := []ipam.Set{{{Subnet: netip.MustParsePrefix("10.1.0.0/16")}}, {{Subnet: netip.MustParsePrefix("fd00:1::/64")}}}
	n := 0
	return func() (time.Duration, error) {
		n++
		normal, err := ipam.Normalize(sets)
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		store, err := ipam.Open(dir)
		if err == nil {
			_, err = store.Reserve(context.Background(), ipam.Owner{ContainerID: strconv.Itoa(n), IfName: "eth0"}, normal)
		}
		return time.Since(begin), err
	}
}
