package docs

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// server is a node of the lab as a reader of the pages has it, a Debian with its containerd:
// nothing of podnet yet but the package in the working directory.
type server struct {
	*lab.Server
	t *testing.T
}

// podScript stands for the container runtime.
const podScript = `#!/bin/sh -e
# pod add|del NAME: a network namespace, connected as a runtime does it; pod exec NAME COMMAND
export CNI_PATH=/usr/lib/cni NETCONFPATH=/etc/cni/net.d CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$2"
network() { sed -n 's/^ *"name": *"\([^"]*\)".*/\1/p' "$(ls /etc/cni/net.d/*.conflist | head -n 1)" | head -n 1; }
case $1 in
add) [ -e "/run/netns/$2" ] || ip netns add "$2"; cnitool add "$(network)" "/run/netns/$2" ;;
del) cnitool del "$(network)" "/run/netns/$2"; ip netns del "$2" ;;
exec) shift; exec ip netns exec "$@" ;;
esac
`

// containerdConfig is what Debian's package of containerd brings.
const containerdConfig = `version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
`

// awaitScript keeps the comments of pages that put faults in from guessing when they are there.
const awaitScript = `#!/bin/sh
# await PATTERN COMMAND...: until the command prints it
pattern=$1; shift
until "$@" 2>/dev/null | grep -q -- "$pattern"; do sleep 0.1; done
`

// boot adds a server to the lab.
func boot(t *testing.T, l *lab.Lab, name string) *server {
	t.Helper()
	s := &server{l.Boot(name), t}
	s.furnish()
	return s
}

// furnish puts there what a reader has.
func (s *server) furnish() {
	s.t.Helper()
	s.take(lab.Program("cnitool"), "/usr/local/bin/cnitool")
	deb, err := filepath.Glob(filepath.Join(lab.SourceTree(), "bin/package/*.deb"))
	if err == nil && len(deb) != 1 {
		err = errors.New("no package, or several, in bin/package (make package)")
	}
	must(s.t, err)
	s.take(deb[0], "/root/"+filepath.Base(deb[0]))
	reference, err := lab.ReferencePlugins()
	must(s.t, err)
	for _, name := range []string{"bridge", "host-local", "loopback", "portmap"} { // those of before, for who comes from flannel
		s.take(filepath.Join(reference, name), "/root/reference/"+name)
	}
	s.WriteFile("/etc/containerd/config.toml", containerdConfig)
	s.WriteFile("/usr/local/bin/pod", podScript)
	s.WriteFile("/usr/local/bin/await", awaitScript)
	s.must("chmod 755 /usr/local/bin/pod /usr/local/bin/await")
}

// install does what the quick start does with the package.
func (s *server) install() {
	s.t.Helper()
	s.must("dpkg-deb -x podnet_*.deb / && systemctl daemon-reload && podnetctl install && mkdir -p /etc/podnet")
}

// take copies a program to the server.
func (s *server) take(from, to string) {
	s.t.Helper()
	data, err := os.ReadFile(from)
	must(s.t, err)
	s.WriteFile(to, string(data))
	must(s.t, os.Chmod(s.Path(to), 0o755))
}

// run has a shell of the server's administrator run a command, and returns what it prints and its
// exit code.
func (s *server) run(command string) (string, int, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 12*lab.Patience)
	defer cancel()
	cmd := s.Enter(ctx, "env", "--chdir=/root", "-i", "HOME=/root", "TERM=dumb", "LC_ALL=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "bash", "-c", command)
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); errors.As(err, &exit) && ctx.Err() == nil {
		return string(out), exit.ExitCode(), nil
	}
	return string(out), 0, err
}

func (s *server) must(command string) {
	s.t.Helper()
	out, code, err := s.run(command)
	if err != nil || code != 0 {
		s.t.Fatalf("%s: %s: exit code %d, %v\n%s", s.Host, command, code, err, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
