package hostlocal_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(lab.WithPlugins(m, "host-local", "loopback"))) }

// host is a node without a daemon, on which the plugin is executed.
type host struct{ *cnihost.Node }

func newHost(t *testing.T) *host {
	t.Helper()
	return &host{cnihost.NewNode(t)}
}

const (
	ranges4  = `"ranges":[[{"subnet":"10.1.0.0/24"}]]`
	ranges46 = `"ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00:1::/64"}]]`
)

// ipam is a call for a container, with the fields beside those of ipam.
func (h *host) ipam(id, version, fields, ipam string) cnihost.Call {
	if fields != "" {
		fields += ","
	}
	return cnihost.Call{Plugin: "host-local", ID: id, Netns: "/run/netns/any",
		Conf: fmt.Sprintf(`{"cniVersion":%q,"name":"net","type":"x",%s"ipam":{"type":"host-local","dataDir":%q,%s}}`,
			version, fields, h.DataDir(), ipam)}
}
