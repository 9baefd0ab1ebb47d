package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Node is one host of the cluster: a network namespace and a root directory.
type Node struct {
	*Namespace
	Host     string // the name in the topology
	IP4, IP6 string // underlay addresses
	Root     string // what --root says
	CNIPath  string // where the runtime looks for plugins; empty: the project's

	lab     *Lab
	daemon  *Daemon
	settled bool // see settle
}

// Path is where a path of the contract lies on this node.
func (n *Node) Path(path string) string { return filepath.Join(n.Root, path) }

// TopologyPath, ConflistPath, StatusPath and LastGoodPath are the contract's default paths.
const (
	TopologyPath = "/etc/podnet/topology.yaml"
	ConflistPath = "/etc/cni/net.d/10-podnet.conflist"
	StatusPath   = "/run/podnet/status.json"
	LastGoodPath = "/var/lib/podnet/last-good.yaml"
)

// Must runs a command on the node and returns its standard output; the test fails if the command
// does.
func (n *Node) Must(args ...string) string {
	n.lab.Helper()
	out, err := n.Exec(args...)
	if err != nil {
		n.lab.Fatalf("%s: %v", n.Host, err)
	}
	return out
}

// Sh is Must for a line of words without quotes.
func (n *Node) Sh(line string) string {
	n.lab.Helper()
	return n.Must(strings.Fields(line)...)
}

// Write puts a topology in place as configuration management does: a temporary file in the same
// directory, renamed.
func (n *Node) Write(topology string) {
	n.lab.Helper()
	n.WriteFile(TopologyPath, topology)
}

// WriteFile replaces any file of the node by a rename.
func (n *Node) WriteFile(path, content string) {
	n.lab.Helper()
	target := n.Path(path)
	n.lab.must(os.MkdirAll(filepath.Dir(target), 0o755))
	temporary := filepath.Join(filepath.Dir(target), ".written-by-the-lab")
	n.lab.must(os.WriteFile(temporary, []byte(content), 0o644))
	n.lab.must(os.Rename(temporary, target))
}

// ReadFile reads a file of the node; a missing one is the error.
func (n *Node) ReadFile(path string) (string, error) {
	data, err := os.ReadFile(n.Path(path))
	return string(data), err
}

// Podnetctl runs the command line on this node.
func (n *Node) Podnetctl(args ...string) Output {
	n.lab.Helper()
	n.settle()
	args = append([]string{Program("podnetctl"), "--root", n.Root, "--node", n.Host}, args...)
	return n.Execute(args...)
}

// Execute runs a command on the node whatever its exit code; only that it cannot be run fails the
// test.
func (n *Node) Execute(args ...string) Output {
	n.lab.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	out, err := n.Run(ctx, exec.Command(args[0], args[1:]...))
	if err != nil {
		n.lab.Fatalf("%s: %s: %v", n.Host, strings.Join(args, " "), err)
	}
	return out
}

// SetSysctl writes a sysctl of the node's namespace by its path below /proc/sys; names with dots
// would break on podnet.1.
func (n *Node) SetSysctl(path, value string) {
	n.lab.Helper()
	n.lab.must(n.Do(func() error { return os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0o644) }))
}

// Sysctl reads one.
func (n *Node) Sysctl(path string) (string, error) {
	var value string
	err := n.Do(func() error {
		data, err := os.ReadFile(filepath.Join("/proc/sys", path))
		value = strings.TrimSpace(string(data))
		return err
	})
	return value, err
}

// Program is the path of one of the project's binaries: from $PODNET_BIN, else from bin/ in the
// source tree.
func Program(name string) string {
	if dir := os.Getenv("PODNET_BIN"); dir != "" {
		return filepath.Join(dir, name)
	}
	return filepath.Join(SourceTree(), "bin", name)
}

// RequirePrograms fails with the remedy if one of the binaries is not there.
func RequirePrograms(names ...string) error {
	for _, name := range names {
		if _, err := os.Stat(Program(name)); err != nil {
			return fmt.Errorf("%s is missing: run make build", Program(name))
		}
	}
	return nil
}

// SourceTree is the directory with go.mod, above the working directory.
func SourceTree() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for up := dir; up != "/"; up = filepath.Dir(up) {
		if _, err := os.Stat(filepath.Join(up, "go.mod")); err == nil {
			return up
		}
	}
	return dir
}
