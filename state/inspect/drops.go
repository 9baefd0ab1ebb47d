package inspect

import (
	"os"
	"strconv"
	"strings"
)

// Reasons for which the kernel counts packets that it drops without anybody being told: names of
// counters, or what they begin with.
const (
	DroppedReverse  = "IPReversePathFilter"
	DroppedXfrm     = "Xfrm"
	DroppedTracking = "conntrack drop"
)

// Drops are counters of this network namespace at one moment.
type Drops map[string]uint64

// DropCounters reads them. One that the kernel does not have is left out.
func DropCounters() Drops {
	all := Drops{}
	read := func(path string, parse func(string)) {
		if data, err := os.ReadFile("/proc/thread-self/net/" + path); err == nil {
			parse(string(data))
		}
	}
	read("netstat", func(text string) { all.pairs(text, "TcpExt:", DroppedReverse) })
	read("xfrm_stat", all.list)
	read("stat/nf_conntrack", all.tracking)
	return all
}

// Since tells by how much each counter has risen.
func (d Drops) Since() map[string]uint64 {
	risen := map[string]uint64{}
	for name, now := range DropCounters() {
		if now > d[name] {
			risen[name] = now - d[name]
		}
	}
	return risen
}

// pairs reads one counter of a group: a line of names and one of numbers below it.
func (d Drops) pairs(text, group, name string) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != group {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, n := range names[:min(len(names), len(fields))] {
			if n == name {
				d.add(name, fields[i], 10)
			}
		}
	}
}

// list reads a name and a number in each line.
func (d Drops) list(text string) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 {
			d.add(f[0], f[1], 10)
		}
	}
}

// tracking adds up what connection tracking has dropped, a line of hexadecimal numbers for each
// processor.
func (d Drops) tracking(text string) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if names == nil {
			names = fields
			continue
		}
		for i, n := range names[:min(len(names), len(fields))] {
			if n == "drop" || n == "early_drop" {
				d.add(DroppedTracking, fields[i], 16)
			}
		}
	}
}

func (d Drops) add(name, number string, base int) {
	if n, err := strconv.ParseUint(number, base, 64); err == nil {
		d[name] += n
	}
}
