// Package cnihost is a machine that runs no daemon, on which CNI plugins are executed as a runtime
// does: with a configuration on standard input and the rest in the environment. What it says about
// the machine comes from the tools of an administrator. It knows no plugin.
package cnihost

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"

	"github.com/podnet/podnet/test/lab"
)

// Object is JSON in the making.
type Object map[string]any

// With is a copy with more fields.
func (o Object) With(fields Object) Object {
	o = maps.Clone(o)
	maps.Copy(o, fields)
	return o
}

// Text is the object as JSON.
func (o Object) Text() string {
	data, err := json.Marshal(o)
	if err != nil {
		return err.Error() // which no plugin takes for a configuration
	}
	return string(data)
}

// Host is the machine: a network namespace, and a directory for leases. Methods whose names begin
// with Must, and those that only look, fail the test by themselves.
type Host struct {
	*lab.Namespace
	TB      lab.TB
	Plugins string // the directory that they are executed from
	Dir     string // for configurations to name as dataDir; in memory

	pods int
}

// New makes a host that ends with the test.
func New(t lab.TB, plugins string) *Host {
	t.Helper()
	dir, err := os.MkdirTemp("", "cnihost")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it goes with the lab at the latest
	h := &Host{Namespace: lab.NewNamespace(t, "host"), TB: t, Plugins: plugins, Dir: dir}
	h.Must("ip link set lo up")
	return h
}

// Pod is a container as a runtime knows it.
type Pod struct {
	*lab.Namespace
	ID, IfName string
	Args       string // CNI_ARGS
}

// Pod makes the namespace of a container that no plugin has seen yet.
func (h *Host) Pod() *Pod {
	h.TB.Helper()
	h.pods++
	name := fmt.Sprintf("pod%d", h.pods)
	return &Pod{Namespace: lab.NewNamespace(h.TB, name), ID: name + "-of-this-test", IfName: "eth0"}
}

// Vanish ends the pod's namespace, and its path with it.
func (h *Host) Vanish(p *Pod) {
	h.TB.Helper()
	if err := p.Close(); err != nil {
		h.TB.Fatalf("%v", err)
	}
}

// Must runs a line of words on the host and returns what it printed.
func (h *Host) Must(line string) string {
	h.TB.Helper()
	return h.MustIn(h.Namespace, line)
}

// MustIn is Must in another namespace.
func (h *Host) MustIn(ns *lab.Namespace, line string) string {
	h.TB.Helper()
	out, err := ns.Sh(line)
	if err != nil {
		h.TB.Fatalf("%v", err)
	}
	return out
}

// Objects is what a tool prints as a JSON array.
func (h *Host) Objects(ns *lab.Namespace, line string) []map[string]any {
	h.TB.Helper()
	text := h.MustIn(ns, line)
	var all []map[string]any
	if text == "" {
		return nil // what `ip -j` prints for nothing at all
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		h.TB.Fatalf("%s: %v", line, err)
	}
	return all
}
