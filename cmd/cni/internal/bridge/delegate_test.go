package bridge_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// Another IPAM plugin is executed, and its DEL is called when the ADD fails further on.
func TestDelegatedIPAM(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	script := `#!/bin/sh
cat >/dev/null
echo "$CNI_COMMAND $CNI_IFNAME" >>` + log + `
[ -e ` + dir + `/fail ] && { echo '{"code":123,"msg":"no luck","details":"today"}'; exit 1; }
[ $CNI_COMMAND = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.7.0.5/24"}],"routes":[{"dst":"10.8.0.0/16","gw":"'$GW'"}],"dns":{"domain":"x"}}'
exit 0
`
	if err := os.WriteFile(dir+"/fake", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := strings.Replace(h.conf(`"isGateway":true`, ""), `"ipam":{}`, `"ipam":{"type":"fake"}`, 1)
	call := on(p, conf)
	call.Path = dir + ":" + lab.Program("cni")
	t.Setenv("GW", "10.7.0.1")
	run := func(verb string) (string, error) { return h.Try(call.With(verb)) }
	result, err := run("ADD")
	if err != nil || !strings.Contains(result, `"10.7.0.1"`) || !strings.Contains(result, `"domain":"x"`) {
		t.Errorf("%s %v", result, err)
	}
	if _, err := run("DEL"); err != nil {
		t.Error(err)
	}
	t.Setenv("GW", "10.9.0.1") // the ADD fails after the plugin's
	_, err = run("ADD")
	cnihost.WantFault(t, err, 7, "10.9.0.1")
	if err := os.WriteFile(dir+"/fail", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = run("ADD")
	cnihost.WantFault(t, err, 123, "plugin fake: no luck", "today")
	said, _ := os.ReadFile(log)
	cnihost.Same(t, "calls", string(said), "ADD eth0\nDEL eth0\nADD eth0\nDEL eth0\nADD eth0\nDEL eth0\n")
	call.Conf = strings.Replace(conf, "fake", "absent", 1)
	_, err = run("ADD")
	cnihost.WantFault(t, err, 7, "absent", "CNI_PATH")
}
