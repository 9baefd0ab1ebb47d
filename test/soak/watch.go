package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// samples are taken in the course of a run; the first quarter of them is the daemon finding its
// size.
const samples = 80

// watch holds what podnetd held at times.
type watch struct {
	node  *lab.Node
	pid   int
	every time.Duration

	at                                   []float64 // seconds
	memory, descriptors, goroutines, cpu []float64
}

// sample takes one, if it is time for that.
func (w *watch) sample(at time.Duration) error {
	if at < time.Duration(len(w.at))*w.every {
		return nil
	}
	memory, err := w.statusLine("VmRSS:")
	if err != nil {
		return err
	}
	// A pass holds more of these for a moment: what counts is what is there between passes.
	descriptors, goroutines := 1e9, 1e9
	for range 4 {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.pid))
		if err != nil {
			return err
		}
		descriptors = min(descriptors, float64(len(files)))
		count, err := w.metric("go_goroutines")
		if err != nil {
			return err
		}
		goroutines = min(goroutines, count)
	}
	cpu, err := w.metric("process_cpu_seconds_total")
	w.at = append(w.at, at.Seconds())
	w.memory = append(w.memory, memory/1024)
	w.descriptors = append(w.descriptors, descriptors)
	w.goroutines = append(w.goroutines, goroutines)
	w.cpu = append(w.cpu, cpu)
	return err
}

// statusLine is a figure of /proc/PID/status.
func (w *watch) statusLine(name string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.pid))
	if err != nil {
		return 0, err
	}
	return figure(string(data), name)
}

// metric is a figure of /metrics.
func (w *watch) metric(name string) (float64, error) {
	_, body, err := w.node.Get(context.Background(), "127.0.0.1:9472", "/metrics")
	if err != nil {
		return 0, err
	}
	return figure(body, name)
}

// figure is the number behind a word at the beginning of a line.
func figure(text, name string) (float64, error) {
	for _, line := range strings.Split(text, "\n") {
		var value float64
		if f := strings.Fields(line); len(f) >= 2 && f[0] == name {
			_, err := fmt.Sscan(f[1], &value)
			return value, err
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

// report prints each row and returns the names of those that grow.
func (w *watch) report(t lab.TB) (grows []string) {
	warm := len(w.at) / 4
	at := w.at[warm:]
	t.Logf("%-20s%10s%10s%10s%22s%14s  %s", "", "first", "last", "highest", "rise of a linear fit", "bound", "verdict")
	for _, row := range []struct {
		name   string
		values []float64
		bound  float64 // of the rise over the run
	}{
		{"VmRSS, MiB", w.memory[warm:], mean(w.memory[warm:]) / 10},
		{"descriptors", w.descriptors[warm:], 1},
		{"goroutines", w.goroutines[warm:], 1},
	} {
		rise := slope(at, row.values) * (at[len(at)-1] - at[0])
		verdict := "flat"
		if rise > row.bound {
			verdict = "GROWS"
			grows = append(grows, row.name)
		}
		t.Logf("%-20s%10.1f%10.1f%10.1f%22.2f%14.2f  %s", row.name,
			row.values[0], row.values[len(row.values)-1], highest(row.values), rise, row.bound, verdict)
	}
	last := len(w.at) - 1
	t.Logf("podnetd without its children took %.1f %% of a core", 100*(w.cpu[last]-w.cpu[0])/(w.at[last]-w.at[0]))
	return grows
}
