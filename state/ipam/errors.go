package ipam

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrBusy says that others held the store's lock for the whole time that the caller was ready to
// wait.
var ErrBusy = errors.New("the lease store is locked by another process")

// ExhaustedError says that a range set has no free address left.
type ExhaustedError struct {
	Index  int // of the range set
	Set    Set
	Leased int // addresses that it has, all of them leased
}

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("failed to allocate for range %d: no IP addresses available in range set: %s", e.Index, e.Set)
}

// UnavailableError says why an address that was asked for by name cannot be had.
type UnavailableError struct {
	Addr netip.Addr
	Why  string
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("requested IP address %s is not available: %s", e.Addr, e.Why)
}
