package inspect

import (
	"github.com/podnet/podnet/state/kernel"
	"github.com/safchain/ethtool"
)

// Offload is what a link's driver does in the kernel's stead.
type Offload struct {
	Device   string
	Driver   string
	Features map[string]bool // as ethtool names them
}

// ReadOffload asks the driver of a link in the calling thread's network namespace.
func ReadOffload(n *kernel.Node, device string) (Offload, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return Offload{}, err
	}
	defer e.Close()
	o := Offload{Device: device}
	if o.Driver, err = e.DriverName(device); err != nil {
		return o, err
	}
	o.Features, err = e.Features(device)
	return o, err
}
