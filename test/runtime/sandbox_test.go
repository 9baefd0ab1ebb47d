package runtime

import (
	"fmt"
	"path/filepath"
	"sync"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pod is a running sandbox.
type pod struct {
	c      *containerd
	id     string
	config *cri.PodSandboxConfig
	ips    []string
}

// run starts a sandbox with host ports, if any.
func (c *containerd) run(name string, ports ...*cri.PortMapping) *pod {
	c.t.Helper()
	p, err := c.tryRun(name, ports...)
	must(c.t, err)
	return p
}

func (c *containerd) tryRun(name string, ports ...*cri.PortMapping) (*pod, error) {
	p := &pod{c: c, config: &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "default", Uid: name}, Hostname: name, PortMappings: ports,
		LogDirectory: filepath.Join(c.dir, "logs"), Linux: &cri.LinuxPodSandboxConfig{},
	}}
	started, err := c.cri.RunPodSandbox(c.t.Context(), &cri.RunPodSandboxRequest{Config: p.config})
	if err != nil {
		return nil, fmt.Errorf("pod %s: %w", name, err)
	}
	p.id = started.PodSandboxId
	p.ips, err = p.addresses()
	return p, err
}

// runAtOnce starts n sandboxes at the same time and waits for all; some of both results may be nil.
func (c *containerd) runAtOnce(n int) ([]*pod, []error) {
	pods, errs := make([]*pod, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { pods[i], errs[i] = c.tryRun(fmt.Sprintf("many-%d", i)) })
	}
	all.Wait()
	return pods, errs
}

// addresses are the sandbox's as the runtime tells them.
func (p *pod) addresses() ([]string, error) {
	answer, err := p.c.cri.PodSandboxStatus(p.c.t.Context(), &cri.PodSandboxStatusRequest{PodSandboxId: p.id})
	if err != nil {
		return nil, err
	}
	ips := []string{answer.Status.Network.Ip}
	for _, ip := range answer.Status.Network.AdditionalIps {
		ips = append(ips, ip.Ip)
	}
	return ips, nil
}

// container starts one in the pod and returns its id.
func (p *pod) container(name string, command ...string) string {
	p.c.t.Helper()
	ctx := p.c.t.Context()
	made, err := p.c.cri.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: p.id, SandboxConfig: p.config, Config: &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name}, Image: &cri.ImageSpec{Image: busyboxImage},
		Command: append([]string{"/bin/busybox"}, command...), LogPath: name + ".log", Linux: &cri.LinuxContainerConfig{},
	}})
	must(p.c.t, err)
	_, err = p.c.cri.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: made.ContainerId})
	must(p.c.t, err)
	return made.ContainerId
}

// exec runs a command in a container and returns what it printed.
func (p *pod) exec(container string, command ...string) (string, error) {
	out, err := p.c.cri.ExecSync(p.c.t.Context(), &cri.ExecSyncRequest{ContainerId: container, Cmd: append([]string{"/bin/busybox"}, command...), Timeout: 10})
	if err == nil && out.ExitCode != 0 {
		err = fmt.Errorf("exit %d: %s%s", out.ExitCode, out.Stdout, out.Stderr)
	}
	return string(out.GetStdout()), err
}

func (p *pod) remove() {
	p.c.t.Helper()
	must(p.c.t, p.c.remove(p.c.t.Context(), p.id))
}
