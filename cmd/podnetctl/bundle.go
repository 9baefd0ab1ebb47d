package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state/files"
)

// How long one command of a bundle may take, and how much of one file or output goes in.
const (
	bundleTime = 20 * time.Second
	bundlePart = 64 << 20
)

// bundleCommands show the network as any administrator would look at it. They change nothing.
func bundleCommands() []string {
	return []string{
		"uname -a", "ip -d -s link", "ip addr", "ip -4 route show table all", "ip -6 route show table all", "ip -4 rule",
		"ip -6 rule",
		"ip -s neigh", "bridge -d link", "bridge fdb", "nft list ruleset", "iptables-save -c", "ip6tables-save -c",
		"iptables-legacy-save -c", "ip6tables-legacy-save -c", "iptables --version", "ss -ulnp",
		// By name, because stable_secret is among the others.
		`sysctl -a -r \.(ip_forward|forwarding|rp_filter|accept_ra|accept_dad|disable_ipv6|route_localnet|gc_thresh.)$|^net\.bridge`,
		"systemctl status --no-pager podnetd systemd-networkd NetworkManager firewalld ufw docker",
		"journalctl --no-pager -u podnetd -n 5000",
	}
}

// archive is a bundle under construction.
type archive struct {
	tar   *tar.Writer
	names []string
	now   time.Time
	err   error
}

func (a *archive) add(name string, data []byte) {
	header := &tar.Header{Name: "podnet-doctor/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: a.now}
	err := a.tar.WriteHeader(header)
	if err == nil {
		_, err = a.tar.Write(data)
	}
	a.err, a.names = errors.Join(a.err, err), append(a.names, name)
}

func (a *archive) json(name string, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	a.err = errors.Join(a.err, err)
	a.add(name, append(b, '\n'))
}

// file adds one as it is, if it is there; why it cannot be read is worth knowing too.
func (a *archive) file(path string) {
	data, err := files.ReadFile(path, bundlePart)
	if err != nil {
		data = []byte(err.Error() + "\n")
	}
	a.add("files"+path, data)
}

// others adds what the runtime's other configurations are of: the rest of them may hold another
// plugin's token or password.
func (a *archive) others(own string) {
	paths, _ := filepath.Glob(filepath.Join(filepath.Dir(own), "*.conf*")) // the pattern is sound
	for _, path := range paths {
		if path == own {
			continue
		}
		type plugin struct {
			Type string `json:"type,omitempty"`
		}
		var outline struct {
			Name       string `json:"name"`
			CNIVersion string `json:"cniVersion"`
			plugin
			Plugins []plugin `json:"plugins,omitempty"`
		}
		data, err := files.ReadFile(path, bundlePart)
		if err == nil {
			err = json.Unmarshal(data, &outline)
		}
		if err != nil {
			a.add("outlines"+path, []byte(err.Error()+"\n"))
			continue
		}
		a.json("outlines"+path, outline)
	}
}

// command adds what one says; a program that is not there says so.
func (a *archive) command(line string) {
	ctx, cancel := context.WithTimeout(context.Background(), bundleTime)
	defer cancel()
	words := strings.Fields(line)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.WaitDelay = time.Second // a child of its own may hold the output open
	out, err := cmd.CombinedOutput()
	if err != nil {
		out = append(out, (line + ": " + err.Error() + "\n")...)
	}
	words = slices.DeleteFunc(words, func(w string) bool { return strings.Contains(w, "|") }) // a pattern
	name := strings.NewReplacer(" ", "_", "/", "_").
		Replace(strings.TrimSpace(strings.Join(words[:min(len(words), 4)], " ")))
	a.add("commands/"+name+".txt", out[:min(len(out), bundlePart)])
}

// writeBundle writes everything that somebody elsewhere needs to understand this node, readable for
// the owner alone, and lists it: addresses and names of hosts and pods are in it, keys and
// passwords are not, as podnet has none.
func (c *cli) writeBundle(n *node, report document.Findings, path string) error {
	var b bytes.Buffer
	packed := gzip.NewWriter(&b)
	a := &archive{tar: tar.NewWriter(packed), now: time.Now()}
	a.add("version.txt", []byte("podnetctl "+version+"\n"))
	a.json("findings.json", report)
	if s, err := n.look(""); err == nil {
		a.json("status.json", s.NodeStatus)
	}
	if t := n.Followed(); t != nil {
		if plan, err := n.Compare(t); err == nil {
			a.json("plan.json", document.NewPlan(plan, n.InForce()))
		}
	}
	for _, file := range []string{n.Paths.Topology, n.Paths.LastGood, n.Paths.Status, n.Paths.Defaults, n.Paths.Conflist} {
		a.file(file)
	}
	a.others(n.Paths.Conflist)
	for _, line := range bundleCommands() {
		a.command(line)
	}
	if err := errors.Join(a.err, a.tar.Close(), packed.Close()); err != nil {
		return fmt.Errorf("bundle %s: %w", path, err)
	}
	if err := files.ReplaceFile(path, b.Bytes(), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s, %d bytes: names and addresses of this cluster, no keys. In it:\n  %s\n", path, b.Len(),
		strings.Join(a.names, "\n  "))
	return nil
}
