package conformance

import "github.com/podnet/podnet/test/lab"

// eventually waits for what the kernel does in its own time.
func (h *host) eventually(check func() error) error {
	_, err := lab.Poll(h.tb.Context(), lab.Patience, check)
	return err
}
