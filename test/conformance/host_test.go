package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/podnet/podnet/test/lab"
)

// object is JSON in the making.
type object map[string]any

// with is a copy with more fields.
func (o object) with(fields object) object {
	o = maps.Clone(o)
	maps.Copy(o, fields)
	return o
}

// host is a network namespace on which plugins are executed, with a directory for leases. Whatever has to work for a case
// to mean anything fails the case by itself, so that the cases read as what they promise.
type host struct {
	*lab.Namespace
	tb      *attempt
	plugins string // the directory under test
	version string // of the configurations
	dir     string // dataDir
	pods    int
}

func newHost(tb *attempt, plugins, version string) *host {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) }) // it lies in memory and goes with the lab
	h := &host{Namespace: lab.NewNamespace(tb, "host"), tb: tb, plugins: plugins, version: version, dir: dir}
	h.sh("ip link set lo up")
	return h
}

// pod is a container as a runtime knows it.
type pod struct {
	*lab.Namespace
	id, ifname, args string
}

// netns is what the runtime passes as CNI_NETNS.
func (p *pod) netns() string { return p.Path }

func (h *host) pod() *pod {
	h.pods++
	name := fmt.Sprintf("pod%d", h.pods)
	return &pod{Namespace: lab.NewNamespace(h.tb, name), id: name + "-of-this-test", ifname: "eth0"}
}

// vanish ends the pod's namespace, as when a machine's runtime is restarted; the path is gone with it.
func (h *host) vanish(p *pod) {
	if err := p.Close(); err != nil {
		h.tb.Fatalf("%v", err)
	}
}

// sh runs a line of words on the host; it has to succeed.
func (h *host) sh(line string) string { return h.in(h.Namespace, line) }

// in is sh in another namespace.
func (h *host) in(ns *lab.Namespace, line string) string {
	out, err := ns.Sh(line)
	if err != nil {
		h.tb.Fatalf("%v", err)
	}
	return out
}

// run executes a plugin with the environment given as NAME=VALUE without CNI_; an error is a *fault.
func (h *host) run(plugin, stdin string, env ...string) (string, error) {
	cmd := exec.Command(filepath.Join(h.plugins, plugin))
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "CNI_") { // the tested directory came as one
			cmd.Env = append(cmd.Env, e)
		}
	}
	for _, e := range env {
		cmd.Env = append(cmd.Env, "CNI_"+e)
	}
	cmd.Stdin = strings.NewReader(stdin)
	ctx, cancel := context.WithTimeout(context.Background(), 2*lab.Patience)
	defer cancel()
	out, err := h.Run(ctx, cmd)
	if err != nil {
		h.tb.Fatalf("%v", err)
	}
	if out.Code == 0 {
		return out.Stdout, nil
	}
	return out.Stdout, newFault(out)
}

// call is a verb for a pod, of the plugin that the configuration names.
func (h *host) call(verb string, p *pod, conf object) (string, error) {
	return h.run(conf["type"].(string), h.text(conf), "COMMAND="+verb, "CONTAINERID="+p.id, "NETNS="+p.netns(), "IFNAME="+p.ifname,
		"ARGS="+p.args, "PATH="+h.plugins)
}

// node is a verb that is about no pod: STATUS and GC.
func (h *host) node(verb string, conf object) error {
	_, err := h.run(conf["type"].(string), h.text(conf), "COMMAND="+verb, "PATH="+h.plugins)
	return err
}

func (h *host) text(conf object) string {
	data, err := json.Marshal(conf)
	if err != nil {
		h.tb.Fatalf("%v", err)
	}
	return string(data)
}

func (h *host) add(p *pod, conf object) (result, error) {
	out, err := h.call("ADD", p, conf)
	if err != nil {
		return result{}, err
	}
	return parseResult(h.tb, out), nil
}

func (h *host) mustAdd(p *pod, conf object) result {
	r, err := h.add(p, conf)
	if err != nil {
		h.tb.Fatalf("ADD: %v", err)
	}
	return r
}

func (h *host) del(p *pod, conf object) error {
	out, err := h.call("DEL", p, conf)
	if err == nil && strings.TrimSpace(out) != "" {
		return fmt.Errorf("DEL prints %q", out)
	}
	return err
}

func (h *host) mustDel(p *pod, conf object) {
	if err := h.del(p, conf); err != nil {
		h.tb.Fatalf("DEL: %v", err)
	}
}

// check is a CHECK with the result of the ADD; conf may hold another.
func (h *host) check(p *pod, conf object, r result) error {
	_, err := h.call("CHECK", p, conf.with(object{"prevResult": json.RawMessage(r.raw)}))
	return err
}
