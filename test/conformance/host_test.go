package conformance

import (
	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

type (
	object = cnihost.Object
	pod    = cnihost.Pod
	result = cnihost.Result
	fault  = cnihost.Fault
)

// host is where a case is tried: the plugins under test and a version for the configurations.
// Whatever has to work for a case to mean anything fails it by itself, so that the cases read as
// what they promise.
type host struct {
	*cnihost.Host
	version string
}

// eventually waits for what the kernel does in its own time.
func (h *host) eventually(check func() error) error {
	_, err := lab.Poll(h.TB.Context(), lab.Patience, check)
	return err
}

// unchanged says what f left on the host.
func (h *host) unchanged(what string, f func() error) error {
	before := h.Traces()
	if err := f(); err != nil {
		return err
	}
	return cnihost.SameTraces(what, h.Traces(), before)
}
