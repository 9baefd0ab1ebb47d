package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Result is what a test reads of a CNI result.
type Result struct {
	CNIVersion string `json:"cniVersion"`
	Interfaces []struct {
		Name, Mac, Sandbox string
		MTU                int
	}
	IPs []struct {
		Address, Gateway string
		Interface        *int
	}
	Routes []struct{ Dst, GW string }
}

// CNIError is what a plugin reports on standard output when it exits with 1.
type CNIError struct {
	Plugin, Verb string
	Code         int
	Msg, Details string
}

func (e *CNIError) Error() string {
	return fmt.Sprintf("plugin %s: %s: code %d: %s %s", e.Plugin, e.Verb, e.Code, e.Msg, e.Details)
}

// Attachment names one interface of one container, for GC.
type Attachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// podInterface is the interface that runtimes ask for.
const podInterface = "eth0"

// Add connects the pod through every plugin of the node's conflist.
func (p *Pod) Add() (Result, error) {
	raw, err := p.Node.chain("ADD", p, nil)
	if err != nil {
		return Result{}, err
	}
	p.result = raw
	return parseResult(raw)
}

// Del disconnects it, plugins in reverse order.
func (p *Pod) Del() error {
	_, err := p.Node.chain("DEL", p, nil)
	return err
}

// Check asks every plugin whether the pod is still as its ADD left it.
func (p *Pod) Check() error {
	_, err := p.Node.chain("CHECK", p, nil)
	return err
}

// CNIStatus asks every plugin whether an ADD would work.
func (n *Node) CNIStatus() error {
	_, err := n.chain("STATUS", nil, nil)
	return err
}

// CNIGC tells every plugin which attachments are still valid.
func (n *Node) CNIGC(valid []Attachment) error {
	_, err := n.chain("GC", nil, map[string]any{"cni.dev/valid-attachments": valid})
	return err
}

// conflist is a network configuration list as libcni reads it.
type conflist struct {
	CNIVersion  string           `json:"cniVersion"`
	CNIVersions []string         `json:"cniVersions"`
	Name        string           `json:"name"`
	Plugins     []map[string]any `json:"plugins"`
}

// version is the highest that the list speaks.
func (l conflist) version() string {
	return slices.MaxFunc(append(l.CNIVersions, l.CNIVersion), strings.Compare)
}

// FirstAdd is the ADD of the conflist's first plugin alone, not begun.
func (p *Pod) FirstAdd() (*exec.Cmd, error) {
	list, err := p.Node.readConflist()
	if err != nil {
		return nil, err
	}
	conf := list.Plugins[0]
	conf["name"], conf["cniVersion"] = list.Name, list.version()
	return p.Node.execution("ADD", p, podInterface, conf)
}

// chain does for one verb what libcni does: each plugin in turn, DEL in reverse, with the name, the
// highest version of the list and the result so far put into its configuration.
func (n *Node) chain(verb string, p *Pod, extra map[string]any) (json.RawMessage, error) {
	list, err := n.readConflist()
	if err != nil {
		return nil, err
	}
	plugins := slices.Clone(list.Plugins)
	if verb == "DEL" {
		slices.Reverse(plugins)
	}
	var result json.RawMessage
	if p != nil && verb != "ADD" {
		result = p.result
	}
	for _, conf := range plugins {
		conf["name"], conf["cniVersion"] = list.Name, list.version()
		if result != nil {
			conf["prevResult"] = result
		}
		if takes, _ := conf["capabilities"].(map[string]any); takes["portMappings"] == true && p != nil && len(p.Ports) > 0 {
			conf["runtimeConfig"] = map[string]any{"portMappings": p.Ports}
		}
		for k, v := range extra {
			conf[k] = v
		}
		out, err := n.plugin(verb, p, podInterface, conf)
		if err != nil {
			return nil, err
		}
		if verb == "ADD" && out != nil {
			result = out
		}
	}
	return result, nil
}

// readConflist takes the first configuration of the directory, as runtimes do.
func (n *Node) readConflist() (conflist, error) {
	var list conflist
	files, err := filepath.Glob(n.Path("/etc/cni/net.d/*.conflist"))
	if err != nil || len(files) == 0 {
		return list, fmt.Errorf("%s: no conflist: %w", n.Host, os.ErrNotExist)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return list, err
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return list, fmt.Errorf("%s: %w", files[0], err)
	}
	return list, nil
}

func (n *Node) cniPath() string {
	if n.CNIPath != "" {
		return n.CNIPath
	}
	return Program("cni")
}

// ReferencePlugins is where make puts the plugins that podnet's are compared with.
func ReferencePlugins() (string, error) {
	dir := filepath.Join(SourceTree(), "bin/reference/v1.9.1")
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("%s is missing: run make reference", dir)
	}
	return dir, nil
}

// execution is one of a plugin, not begun.
func (n *Node) execution(verb string, p *Pod, ifname string, conf map[string]any) (*exec.Cmd, error) {
	kind, _ := conf["type"].(string)
	stdin, err := json.Marshal(conf)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(n.cniPath(), kind))
	cmd.Stdin = strings.NewReader(string(stdin))
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+verb, "CNI_PATH="+n.cniPath())
	if p != nil {
		cmd.Env = append(cmd.Env, "CNI_CONTAINERID="+p.ID, "CNI_NETNS="+p.Path, "CNI_IFNAME="+ifname,
			"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME="+p.PodName)
	}
	return cmd, nil
}

// plugin executes one plugin.
func (n *Node) plugin(verb string, p *Pod, ifname string, conf map[string]any) (json.RawMessage, error) {
	cmd, err := n.execution(verb, p, ifname, conf)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	out, err := n.Run(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if out.Code != 0 {
		kind, _ := conf["type"].(string)
		fault := &CNIError{Plugin: kind, Verb: verb}
		if err := json.Unmarshal([]byte(out.Stdout), fault); err != nil {
			return nil, fmt.Errorf("plugin %s: %s: exit code %d: %s%s", kind, verb, out.Code, out.Stdout, out.Stderr)
		}
		return nil, fault
	}
	if strings.TrimSpace(out.Stdout) == "" {
		return nil, nil
	}
	return json.RawMessage(out.Stdout), nil
}

func parseResult(raw json.RawMessage) (Result, error) {
	var r Result
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("CNI result %q: %w", raw, err)
	}
	return r, nil
}
