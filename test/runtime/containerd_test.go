package runtime

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/podnet/podnet/test/lab"
)

// requirePrograms skips the test where what it needs is not installed, and says what that is.
func requirePrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed (apt-get install containerd runc busybox-static)", name)
		}
	}
}

// containerd is a runtime of one node.
type containerd struct {
	t    *testing.T
	node *lab.Node
	cri  cri.RuntimeServiceClient
	dir  string
}

// config is for containerd 1.6 and later. A machine without CAP_SYS_RESOURCE cannot lower a process's OOM score.
const config = `version = 2
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "%[1]s/sock"
[ttrpc]
  address = "%[1]s/sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "%[1]s/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%[2]s"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "%[3]s"
    conf_dir = "%[4]s"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`

// startContainerd starts a containerd on the node that takes its network from the node's conflist. It ends with the test.
func startContainerd(t *testing.T, n *lab.Node) *containerd {
	t.Helper()
	c := &containerd{t: t, node: n, dir: n.Path("/containerd")}
	must(t, os.MkdirAll(c.dir, 0o755))
	conf := filepath.Join(c.dir, "config.toml")
	text := fmt.Sprintf(config, c.dir, pauseImage, filepath.Dir(lab.Program("cni/bridge")), filepath.Dir(n.Path(lab.ConflistPath)))
	must(t, os.WriteFile(conf, []byte(text), 0o644))
	log, err := os.Create(filepath.Join(c.dir, "log"))
	must(t, err)
	defer log.Close()
	cmd := exec.Command("containerd", "-c", conf)
	cmd.Stdout, cmd.Stderr = log, log
	must(t, n.Do(cmd.Start))
	t.Cleanup(func() { c.stop(cmd) })
	conn, err := grpc.NewClient("unix://"+filepath.Join(c.dir, "sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	c.cri = cri.NewRuntimeServiceClient(conn)
	c.await("containerd answers", func() error { _, err := c.cri.Version(t.Context(), &cri.VersionRequest{}); return err })
	for reference, entry := range map[string]string{pauseImage: `"Entrypoint":["/bin/busybox","sleep","2147483647"]`, busyboxImage: ""} {
		c.load(reference, entry)
	}
	return c
}

// stop removes what the test left and ends containerd.
func (c *containerd) stop(cmd *exec.Cmd) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if list, err := c.cri.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{}); err == nil {
		for _, p := range list.Items {
			_, _ = c.cri.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.Id})
			_, _ = c.cri.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.Id})
		}
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	if c.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
		c.t.Logf("containerd of %s:\n%s", c.node.Host, log[max(0, len(log)-4000):])
	}
}

func (c *containerd) await(what string, check func() error) {
	c.t.Helper()
	lab.Eventually(c.t, lab.Patience, c.node.Host+": "+what, check)
}

func (c *containerd) load(reference, entry string) {
	c.t.Helper()
	busybox, err := exec.LookPath("busybox")
	must(c.t, err)
	tarball, err := image(reference, busybox, entry)
	must(c.t, err)
	cmd := exec.Command("ctr", "-a", filepath.Join(c.dir, "sock"), "-n", "k8s.io", "images", "import", "--snapshotter", "native", "-")
	cmd.Stdin = bytes.NewReader(tarball)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("import %s: %v: %s", reference, err, out)
	}
}

// networkReady is the condition as the runtime tells it to a kubelet.
func (c *containerd) networkReady() error {
	status, err := c.cri.Status(c.t.Context(), &cri.StatusRequest{})
	if err != nil {
		return err
	}
	for _, cond := range status.Status.Conditions {
		if cond.Type == cri.NetworkReady && !cond.Status {
			return fmt.Errorf("%s: %s", cond.Reason, cond.Message)
		}
	}
	return nil
}

// pod is a running sandbox.
type pod struct {
	c      *containerd
	id     string
	config *cri.PodSandboxConfig
	ips    []string
}

func (c *containerd) run(name string) *pod {
	c.t.Helper()
	p := &pod{c: c, config: &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "default", Uid: name}, Hostname: name,
		LogDirectory: filepath.Join(c.dir, "logs"), Linux: &cri.LinuxPodSandboxConfig{},
	}}
	started, err := c.cri.RunPodSandbox(c.t.Context(), &cri.RunPodSandboxRequest{Config: p.config})
	must(c.t, err)
	p.id = started.PodSandboxId
	status, err := c.cri.PodSandboxStatus(c.t.Context(), &cri.PodSandboxStatusRequest{PodSandboxId: p.id})
	must(c.t, err)
	p.ips = append(p.ips, status.Status.Network.Ip)
	for _, ip := range status.Status.Network.AdditionalIps {
		p.ips = append(p.ips, ip.Ip)
	}
	return p
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
	_, err := p.c.cri.StopPodSandbox(p.c.t.Context(), &cri.StopPodSandboxRequest{PodSandboxId: p.id})
	must(p.c.t, err)
	_, err = p.c.cri.RemovePodSandbox(p.c.t.Context(), &cri.RemovePodSandboxRequest{PodSandboxId: p.id})
	must(p.c.t, err)
}

// leases are the address leases on the node.
func (c *containerd) leases() []string {
	entries, err := os.ReadDir(c.node.Path("/var/lib/cni/networks/podnet"))
	must(c.t, err)
	var out []string
	for _, e := range entries {
		if strings.ContainsAny(e.Name()[:1], "0123456789abcdef") && (strings.Count(e.Name(), ".") == 3 || strings.Contains(e.Name(), ":")) {
			out = append(out, e.Name())
		}
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
