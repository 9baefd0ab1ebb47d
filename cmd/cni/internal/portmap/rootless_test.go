package portmap

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// The root of a user namespace has no larger socket buffer than net.core.wmem_max allows: what is
// more than that comes true in parts.
func TestRootless(t *testing.T) {
	const ports = 600
	var maps []map[string]any
	for n := range ports {
		maps = append(maps, map[string]any{"hostPort": 10000 + n, "containerPort": 80, "protocol": "tcp"})
	}
	for _, backend := range []string{nameIPTables, nameNFTables} {
		conf, err := json.Marshal(map[string]any{
			"cniVersion": "1.0.0", "name": "net", "type": "portmap", "backend": backend, "runtimeConfig": map[string]any{"portMappings": maps},
			"prevResult": map[string]any{"ips": []map[string]any{{"address": "10.1.0.2/24"}, {"address": "fd00:1::2/64"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "conf")
		if err := os.WriteFile(file, conf, 0o644); err != nil {
			t.Fatal(err)
		}
		script := `export CNI_CONTAINERID=c CNI_NETNS=/ns CNI_IFNAME=eth0 CNI_PATH=/
			for verb in ADD CHECK; do CNI_COMMAND=$verb ` + lab.Program("cni") + `/portmap <` + file + ` >/dev/null || exit 1; done
			nft list ruleset 2>/dev/null | grep -c dport
			CNI_COMMAND=DEL ` + lab.Program("cni") + `/portmap <` + file + `; nft list ruleset 2>/dev/null | grep -c dport; true`
		out, err := exec.Command("unshare", "-Urn", "sh", "-c", script).CombinedOutput()
		if err != nil && strings.Contains(string(out), "unshare") {
			t.Skip("no user namespaces: ", string(out))
		}
		var there, left int
		if _, scan := fmt.Sscan(string(out), &there, &left); err != nil || scan != nil || there < 2*ports || left != 0 {
			t.Errorf("%s: %v %v, %d rules, %d left: %s", backend, err, scan, there, left, out)
		}
	}
}

// A kernel without nfnetlink has no rules: a pod without ports is added and deleted there, and one
// with ports is told what is missing.
func TestWithoutNetlink(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace, which has socket(2) fail, is missing")
	}
	const mapping = `,"runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}`
	for _, c := range []struct {
		verb, more string
		code       int
		says       string
	}{
		{"ADD", "", 0, ""},
		{"CHECK", "", 0, ""},
		{"DEL", "", 0, ""},
		{"DEL", mapping, 0, ""},
		{"ADD", mapping, 1, `"code":2`},
		{"ADD", mapping, 1, "modprobe nf_tables"},
	} {
		cmd := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=socket", "-e", "inject=socket:error=EPROTONOSUPPORT", lab.Program("cni")+"/portmap")
		cmd.Stdin = strings.NewReader(`{"cniVersion":"1.0.0","name":"net","type":"portmap","prevResult":{"ips":[{"address":"10.1.0.2/24"}]}` + c.more + "}")
		cmd.Env = append(os.Environ(), "CNI_COMMAND="+c.verb, "CNI_CONTAINERID=c", "CNI_NETNS=/ns", "CNI_IFNAME=eth0", "CNI_PATH=/")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%s%s: %v, want exit code %d and %s: %s", c.verb, c.more, err, c.code, c.says, out)
		}
	}
}
