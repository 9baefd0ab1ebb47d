// Package hostports lets podnetd and podnetctl keep what the portmap plugin has made for pods of
// podnet's own network, by the plugin's own code.
package hostports

import (
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/portmap"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
)

// Keeper is a kernel.HostPorts.
type Keeper struct{}

func (Keeper) Records(dir string) (published []state.HostPort, foreign []string, err error) {
	all, foreign, err := portmap.Records(dir)
	for _, p := range all {
		published = append(published, state.HostPort{
			Record: p.Name, Device: device.VethName(p.Network, p.Pod, p.IfName), Pod: p.Pod, Backend: p.Backend,
			Ports: strings.Join(p.Ports, ", "),
		})
	}
	return published, foreign, err
}

func (Keeper) Lacks(dir string, published []state.HostPort) (lacks []string, counted bool, err error) {
	var names []string
	for _, p := range published {
		names = append(names, p.Record)
	}
	return portmap.Lacks(dir, names)
}

func (Keeper) Restore(dir, record string) error { return portmap.Restore(dir, record) }

func (Keeper) Withdraw(dir, record string) error { return portmap.Withdraw(dir, record) }
