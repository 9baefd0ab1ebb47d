package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a program that is watched from outside.
type process int

// cpu is the processor time that the process and the children that it has waited for
// (iptables-save) have had.
func (p process) cpu() (time.Duration, error) {
	const schedulerClock = 2 // CPUCLOCK_SCHED: nanoseconds, where /proc counts ticks of ten milliseconds
	var own unix.Timespec
	if err := unix.ClockGettime(int32(^int(p)<<3|schedulerClock), &own); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", p, err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return 0, err
	}
	const tick = 10 * time.Millisecond
	total := time.Duration(own.Nano())
	for _, field := range strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))[14:16] { // cutime, cstime
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ticks) * tick
	}
	return total, nil
}

// memory is a line of /proc/PID/status in MiB: VmRSS, or VmHWM for the highest that it ever was.
func (p process) memory(line string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
	if err != nil {
		return 0, err
	}
	for _, l := range strings.Split(string(data), "\n") {
		if f := strings.Fields(l); len(f) == 3 && f[0] == line+":" {
			kB, err := strconv.Atoi(f[1])
			return float64(kB) / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no %s", p, line)
}

// usage is what a process took between two moments.
type usage struct {
	share  float64 // of one core
	growth float64 // of its resident memory, MiB
}

// watched runs f and says what the process took meanwhile.
func (p process) watched(f func() error) (usage, error) {
	cpu, err := p.cpu()
	if err != nil {
		return usage{}, err
	}
	rss, err := p.memory("VmRSS")
	if err != nil {
		return usage{}, err
	}
	begin := time.Now()
	if err := f(); err != nil {
		return usage{}, err
	}
	took := time.Since(begin)
	after, err := p.cpu()
	if err != nil {
		return usage{}, err
	}
	now, err := p.memory("VmRSS")
	return usage{(after - cpu).Seconds() / took.Seconds(), now - rss}, err
}
