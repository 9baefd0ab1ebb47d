package cnihost

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/podnet/podnet/test/lab"
)

// Command is an execution of a plugin that has not begun. The environment is given as NAME=VALUE
// without CNI_.
func (h *Host) Command(plugin, stdin string, env ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(h.Plugins, plugin))
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "CNI_") { // the tested directory may have come as one
			cmd.Env = append(cmd.Env, e)
		}
	}
	for _, e := range env {
		cmd.Env = append(cmd.Env, "CNI_"+e)
	}
	cmd.Stdin = strings.NewReader(stdin)
	return cmd
}

// Execute runs a plugin and returns what it printed; an error is a *Fault.
func (h *Host) Execute(plugin, stdin string, env ...string) (string, error) {
	h.TB.Helper()
	return h.Finish(h.Command(plugin, stdin, env...))
}

// Finish runs a Command to its end.
func (h *Host) Finish(cmd *exec.Cmd) (string, error) {
	h.TB.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*lab.Patience)
	defer cancel()
	out, err := h.Run(ctx, cmd)
	if err != nil {
		h.TB.Fatalf("%v", err)
	}
	return said(out)
}

// said is what a plugin printed; an error is a *Fault.
func said(out lab.Output) (string, error) {
	if out.Code == 0 {
		return out.Stdout, nil
	}
	return out.Stdout, newFault(out)
}

// Verb is a Command for a pod, of the plugin that the configuration names.
func (h *Host) Verb(verb string, p *Pod, conf Object) *exec.Cmd {
	return h.Command(fmt.Sprint(conf["type"]), conf.Text(), "COMMAND="+verb, "CONTAINERID="+p.ID, "NETNS="+p.Path,
		"IFNAME="+p.IfName,
		"ARGS="+p.Args, "PATH="+h.Plugins)
}

// Call runs a Verb.
func (h *Host) Call(verb string, p *Pod, conf Object) (string, error) {
	h.TB.Helper()
	return h.Finish(h.Verb(verb, p, conf))
}

// CallNode runs a verb that is about no pod: STATUS and GC.
func (h *Host) CallNode(verb string, conf Object) error {
	h.TB.Helper()
	_, err := h.Execute(fmt.Sprint(conf["type"]), conf.Text(), "COMMAND="+verb, "PATH="+h.Plugins)
	return err
}

// Add connects a pod.
func (h *Host) Add(p *Pod, conf Object) (Result, error) {
	h.TB.Helper()
	out, err := h.Call("ADD", p, conf)
	if err != nil {
		return Result{}, err
	}
	return parseResult(h.TB, out), nil
}

// MustAdd is Add, which has to succeed.
func (h *Host) MustAdd(p *Pod, conf Object) Result {
	h.TB.Helper()
	r, err := h.Add(p, conf)
	if err != nil {
		h.TB.Fatalf("ADD: %v", err)
	}
	return r
}

// Del disconnects a pod.
func (h *Host) Del(p *Pod, conf Object) error {
	h.TB.Helper()
	out, err := h.Call("DEL", p, conf)
	if err == nil && strings.TrimSpace(out) != "" {
		return fmt.Errorf("DEL prints %q", out)
	}
	return err
}

// MustDel is Del, which has to succeed.
func (h *Host) MustDel(p *Pod, conf Object) {
	h.TB.Helper()
	if err := h.Del(p, conf); err != nil {
		h.TB.Fatalf("DEL: %v", err)
	}
}

// Check is a CHECK with the result of an ADD.
func (h *Host) Check(p *Pod, conf Object, r Result) error {
	h.TB.Helper()
	_, err := h.Call("CHECK", p, conf.With(Object{"prevResult": json.RawMessage(r.Raw)}))
	return err
}

// GC hands over the attachments that are valid, under both names that the list has had.
func (h *Host) GC(conf Object, valid ...*Pod) error {
	h.TB.Helper()
	list := []Object{}
	for _, p := range valid {
		list = append(list, Object{"containerID": p.ID, "ifname": p.IfName})
	}
	return h.CallNode("GC", conf.With(Object{"cni.dev/valid-attachments": list, "cni.dev/attachments": list}))
}
