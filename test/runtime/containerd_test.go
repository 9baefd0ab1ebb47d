package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
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
			t.Skipf("%s is not installed (test/setup.sh runtime)", name)
		}
	}
}

// containerd is a runtime of one node.
type containerd struct {
	t    *testing.T
	node *lab.Node
	cri  cri.RuntimeServiceClient
	dir  string
	cmd  *exec.Cmd

	command []string // that becomes containerd
}

// config is for containerd 1.6 and later. A machine without CAP_SYS_RESOURCE cannot lower a
// process's OOM score.
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

// startContainerd starts a containerd on the node that takes its network from the node's conflist.
// It ends with the test.
func startContainerd(t *testing.T, n *lab.Node) *containerd {
	t.Helper()
	c := &containerd{t: t, node: n, dir: n.Path("/containerd")}
	must(t, os.MkdirAll(c.dir, 0o755))
	text := fmt.Sprintf(config, c.dir, pauseImage, filepath.Dir(lab.Program("cni/bridge")), filepath.Dir(n.Path(lab.ConflistPath)))
	must(t, os.WriteFile(filepath.Join(c.dir, "config.toml"), []byte(text), 0o644))
	c.command = []string{"containerd", "-c", filepath.Join(c.dir, "config.toml")}
	c.start()
	return c
}

// start launches it and gives it the test's images.
func (c *containerd) start() {
	c.t.Helper()
	conn, err := grpc.NewClient("unix://"+filepath.Join(c.dir, "sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(c.t, err)
	c.t.Cleanup(func() { conn.Close() })
	c.cri = cri.NewRuntimeServiceClient(conn)
	c.t.Cleanup(c.end)
	c.launch()
	for reference, entry := range map[string]string{pauseImage: `"Entrypoint":["/bin/busybox","sleep","2147483647"]`, busyboxImage: ""} {
		c.load(reference, entry)
	}
}

// launch starts the process and waits until it answers.
func (c *containerd) launch() {
	c.t.Helper()
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(c.t, err)
	defer log.Close()
	c.cmd = exec.Command(c.command[0], c.command[1:]...)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	must(c.t, c.node.Do(c.cmd.Start))
	c.await("containerd answers", func() error { _, err := c.cri.Version(c.t.Context(), &cri.VersionRequest{}); return err })
}

// signal sends one and waits for the process to end: SIGTERM as an administrator would, SIGKILL as
// no one should.
func (c *containerd) signal(s syscall.Signal) {
	_ = c.cmd.Process.Signal(s) // it may have ended; Wait knows
	_ = c.cmd.Wait()
}

// end removes what the test left and stops containerd.
func (c *containerd) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.removeAll(ctx); err != nil {
		c.t.Logf("%s: %v", c.node.Host, err)
	}
	c.signal(syscall.SIGTERM)
	if c.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
		c.t.Logf("containerd of %s:\n%s", c.node.Host, log[max(0, len(log)-4000):])
	}
}

// removeAll stops and removes every sandbox that containerd knows of.
func (c *containerd) removeAll(ctx context.Context) error {
	list, err := c.cri.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range list.Items {
		errs = append(errs, c.remove(ctx, p.Id))
	}
	return errors.Join(errs...)
}

// remove stops and removes a sandbox, as a kubelet does: the plugins get two DELs, the second
// without a namespace.
func (c *containerd) remove(ctx context.Context, id string) error {
	if _, err := c.cri.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		return err
	}
	_, err := c.cri.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
	return err
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

// leases are the address leases on the node.
func leases(n *lab.Node) ([]string, error) {
	entries, err := os.ReadDir(n.Path("/var/lib/cni/networks/podnet"))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // no pod yet
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if _, err := netip.ParseAddr(e.Name()); err == nil {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// left says which of the pods' leases and host veths are still on the node.
func left(n *lab.Node) error {
	if leases, err := leases(n); err != nil || len(leases) > 0 {
		return fmt.Errorf("%s: leases left: %v (%v)", n.Host, leases, err)
	}
	veths, err := n.Exec("ip", "-o", "link", "show", "group", "7201")
	if err == nil && veths != "" {
		err = fmt.Errorf("%s: veths left: %s", n.Host, veths)
	}
	return err
}

func (c *containerd) wantNothingLeft() {
	c.t.Helper()
	if err := left(c.node); err != nil {
		c.t.Error(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
