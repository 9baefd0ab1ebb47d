package options

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/cmd/cni/hostports"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/state"
	"github.com/spf13/pflag"
)

// resolve gives the flags and the environment to the options of a program; defaults is what
// /etc/default/podnetd says under root.
func resolve(t *testing.T, root, defaults string, env map[string]string, args ...string) (agent.Settings, error) {
	t.Helper()
	if defaults != "" {
		path := filepath.Join(root, "/etc/default/podnetd")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(defaults), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o := Register(flags, "f")
	if err := flags.Parse(append([]string{"--root", root}, args...)); err != nil {
		t.Fatal(err)
	}
	return o.Resolve(func(name string) (string, bool) { value, is := env[name]; return value, is })
}

// A flag comes before the environment, that before the defaults file, and that before the default,
// which alone is under the root.
func TestPrecedence(t *testing.T) {
	const defaults = "# by hand\n; or by a tool\n\nPODNET_NODE='from-file'\nPODNET_TOPOLOGY = \"/file.yaml\"\nPODNET_CNI_CONF_NAME=20-file.conflist\n"
	env := map[string]string{"PODNET_NODE": "from-env", "PODNET_TOPOLOGY": "/env.yaml", "PODNET_CNI_CONF_DIR": "/env.d"}
	for _, c := range []struct {
		name     string
		defaults string
		env      map[string]string
		args     []string
		want     func(root string, s *agent.Settings)
	}{
		{"defaults, all under the root", "", nil, nil, func(string, *agent.Settings) {}},
		{"the file", defaults, nil, nil, func(_ string, s *agent.Settings) {
			s.Node, s.Paths.Topology = "from-file", "/file.yaml"
			s.Paths.Conflist = filepath.Join(filepath.Dir(s.Paths.Conflist), "20-file.conflist")
		}},
		{"the environment", defaults, env, nil, func(_ string, s *agent.Settings) {
			s.Node, s.Paths.Topology, s.Paths.Conflist = "from-env", "/env.yaml", "/env.d/20-file.conflist"
		}},
		{"a flag", defaults, env, []string{"--node", "from-flag", "-f", "/flag.yaml", "--cni-bin-dir", "/flag/bin"}, func(_ string, s *agent.Settings) {
			s.Node, s.Paths.Topology, s.Paths.Conflist, s.Paths.PluginDir = "from-flag", "/flag.yaml", "/env.d/20-file.conflist", "/flag/bin"
		}},
		{"an empty value says nothing", defaults, map[string]string{"PODNET_NODE": "", "PODNET_TOPOLOGY": "/env.yaml"}, nil, func(_ string, s *agent.Settings) {
			s.Node, s.Paths.Topology = "from-file", "/env.yaml"
			s.Paths.Conflist = filepath.Join(filepath.Dir(s.Paths.Conflist), "20-file.conflist")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			want := agent.Settings{Paths: state.DefaultPaths(root), HostPorts: hostports.Keeper{}}
			c.want(root, &want)
			got, err := resolve(t, root, c.defaults, c.env, c.args...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// What the defaults file says of other programs' options is none of podnet's business; what it
// cannot mean is an error that says where.
func TestDefaultsFile(t *testing.T) {
	if _, err := resolve(t, t.TempDir(), "PODNETD_OPTIONS=--resync 5s\n", nil); err != nil {
		t.Errorf("an option of something else: %v", err)
	}
	if _, err := resolve(t, t.TempDir(), "export PODNET_NODE\n", nil); err == nil {
		t.Error("a line that is not NAME=value: no error")
	}
}

// Where an empty value says something, it counts.
func TestEmptyValue(t *testing.T) {
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o := Register(flags, "")
	addr := flags.String("addr", "127.0.0.1:1", "")
	if err := flags.SetAnnotation("addr", MayBeEmpty, nil); err != nil {
		t.Fatal(err)
	}
	if err := flags.Parse([]string{"--root", t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	_, err := o.Resolve(func(name string) (string, bool) { return "", name == "PODNET_ADDR" })
	if err != nil || *addr != "" {
		t.Errorf("addr is %q, %v", *addr, err)
	}
}

// A duration that is too short is refused wherever it was written, and says where.
func TestDuration(t *testing.T) {
	for _, c := range []struct {
		args, env, err string
		want           time.Duration
	}{
		{"", "", "<nil>", 30 * time.Second},
		{"--resync=1s", "", "<nil>", time.Second},
		{"--resync=-1s", "", `--resync "-1s": at least 1s`, 30 * time.Second},
		{"--resync=soon", "", `--resync "soon": write a duration such as 30s, 5m or 1h`, 30 * time.Second},
		{"", "999ms", `PODNET_RESYNC in the environment: --resync "999ms": at least 1s`, 30 * time.Second},
	} {
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		o := Register(flags, "")
		var resync time.Duration
		Duration(flags, &resync, "resync", 30*time.Second, time.Second, "")
		err := FlagError(flags.Parse(append([]string{"--root", t.TempDir()}, strings.Fields(c.args)...)))
		if err == nil {
			_, err = o.Resolve(func(name string) (string, bool) { return c.env, name == "PODNET_RESYNC" })
		}
		if fmt.Sprint(err) != c.err || resync != c.want {
			t.Errorf("%q, %q in the environment: %s, %v; want %s, %s", c.args, c.env, resync, err, c.want, c.err)
		}
	}
}

// An address that can be none is refused wherever it was written; whether it can be had is seen by
// whoever listens.
func TestAddress(t *testing.T) {
	const write = "write HOST:PORT, such as 127.0.0.1:9472, [::1]:9472 or :9472"
	for value, valid := range map[string]bool{
		"": true, "127.0.0.1:9472": true, "[::1]:9472": true, "[fe80::1%eth0]:9472": true, ":9472": true, "node-a.example.net:0": true, "localhost:http": true,
		"foo": false, "9472": false, "127.0.0.1": false, "127.0.0.1:": false, "::1:9472": false, "127.0.0.1:99999": false, "127.0.0.1:-1": false,
		"192.0.2.300:9472": false, "127.0.0.1:port": false, "http://127.0.0.1:9472": false, "a b:9472": false,
	} {
		for _, args := range [][]string{{"--addr", value}, nil} {
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			o := Register(flags, "")
			addr := "unset"
			if err := Address(flags, &addr, "addr", "unset", ""); err != nil {
				t.Fatal(err)
			}
			err := FlagError(flags.Parse(append([]string{"--root", t.TempDir()}, args...)))
			want := fmt.Sprintf("--addr %q: %s", value, write)
			if args == nil {
				_, err = o.Resolve(func(name string) (string, bool) { return value, name == "PODNET_ADDR" })
				want = "PODNET_ADDR in the environment: " + want
			}
			if valid && (err != nil || addr != value) || !valid && fmt.Sprint(err) != want {
				t.Errorf("%q: %q, %v", value, addr, err)
			}
		}
	}
}

// A relative path is one of the directory in which the program was started, whatever it does with
// it later.
func TestRelativePaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o := Register(flags, "f")
	if err := flags.Parse([]string{"--root", "r", "-f", "t.yaml"}); err != nil {
		t.Fatal(err)
	}
	s, err := o.Resolve(func(string) (string, bool) { return "", false })
	if err != nil || s.Paths.Topology != filepath.Join(dir, "t.yaml") || s.Paths.Status != filepath.Join(dir, "r/run/podnet/status.json") {
		t.Errorf("%+v, %v", s.Paths, err)
	}
}

// A conflist that no runtime would read is refused, not written.
func TestConflistName(t *testing.T) {
	for _, name := range []string{"", "10-podnet.conf", "other/10-podnet.conflist", "conflist"} {
		if _, err := resolve(t, t.TempDir(), "", nil, "--cni-conf-name", name); err == nil || !strings.Contains(err.Error(), "--cni-conf-name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
