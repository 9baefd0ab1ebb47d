package lab

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
)

// Pod is a network namespace on a node that the plugins connect.
type Pod struct {
	*Namespace
	PodName string
	ID      string // container id
	Node    *Node
	Ports   []PortMapping // for plugins that take them

	result json.RawMessage // of the last ADD; what a runtime keeps as its cache
}

// PortMapping is a host port of a pod, in the runtime's words.
type PortMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
}

// NewPod makes the namespace of a pod and has the loopback plugin set lo up, as runtimes do. It has
// no address yet.
func (n *Node) NewPod(name string) *Pod {
	n.lab.Helper()
	sum := sha256.Sum256([]byte(n.Host + "/" + name))
	p := &Pod{Namespace: n.lab.namespace(n.Host + "-" + name), PodName: name, ID: hex.EncodeToString(sum[:])[:32], Node: n}
	if _, err := n.plugin("ADD", p, "lo",
		map[string]any{"cniVersion": "1.0.0", "name": "cni-loopback", "type": "loopback"}); err != nil {
		n.lab.Fatalf("%s: lo of pod %s: %v", n.Host, name, err)
	}
	return p
}

// Pod makes a pod and connects it through the node's conflist.
func (n *Node) Pod(name string) *Pod {
	n.lab.Helper()
	p := n.NewPod(name)
	if _, err := p.Add(); err != nil {
		n.lab.Fatalf("%s: ADD of pod %s: %v", n.Host, name, err)
	}
	return p
}

// Addrs are the addresses that the last ADD gave, one a family.
func (p *Pod) Addrs() []netip.Addr {
	var addrs []netip.Addr
	result, err := parseResult(p.result)
	if err != nil {
		return nil
	}
	for _, ip := range result.IPs {
		if prefix, err := netip.ParsePrefix(ip.Address); err == nil {
			addrs = append(addrs, prefix.Addr())
		}
	}
	return addrs
}

// Addr4 and Addr6 are the pod's address of a family, as text for commands; empty if it has none.
func (p *Pod) Addr4() string { return p.addr(netip.Addr.Is4) }

// Addr6 is Addr4's counterpart.
func (p *Pod) Addr6() string { return p.addr(netip.Addr.Is6) }

func (p *Pod) addr(family func(netip.Addr) bool) string {
	for _, a := range p.Addrs() {
		if family(a) {
			return a.String()
		}
	}
	return ""
}

// Ping sends one echo request from the namespace and waits up to two seconds for the reply.
func (ns *Namespace) Ping(addr string) error {
	_, err := ns.Exec("ping", "-n", "-q", "-c", "1", "-W", "2", addr)
	return err
}

// Reach checks that the pod reaches every address of another.
func (p *Pod) Reach(other *Pod) error {
	addrs := other.Addrs()
	if len(addrs) == 0 {
		return fmt.Errorf("pod %s has no address", other.PodName)
	}
	for _, a := range addrs {
		if err := p.Ping(a.String()); err != nil {
			return fmt.Errorf("%s on %s -> %s on %s: %w", p.PodName, p.Node.Host, other.PodName, other.Node.Host, err)
		}
	}
	return nil
}

// Talk has two processes talk over TCP: one listens on addr in this namespace, the other connects
// from another.
func (ns *Namespace) Talk(from *Namespace, addr netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	server := helper("listen", addr)
	stdout, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	server.Stderr = os.Stderr
	if err := ns.Do(server.Start); err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Kill() // it ends in no other way
		_ = server.Wait()
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		return fmt.Errorf("the listening process says %q: %w", line, err)
	}
	out, err := from.Run(ctx, helper("dial", addr))
	if err != nil {
		return err
	}
	if out.Code != 0 || out.Stdout != greeting {
		return fmt.Errorf("dial %v: exit code %d, %q %q", addr, out.Code, out.Stdout, out.Stderr)
	}
	return nil
}

// helper is this program in one of its small roles; see Isolate.
func helper(stage string, addr netip.AddrPort) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), stageEnv+"="+stage, talkEnv+"="+addr.String())
	return cmd
}
