//go:build !amd64

package tracer

import "errors"

// CanFail says that this processor's calls can be made to fail, not only be killed.
const CanFail = false

func (c *Call) skip() {}
func (c *Call) fail() {}

func hideVDSO(int) error { return errors.New("only amd64's clocks can be watched") }

// Later moves the wall clock that a call has read.
func (c *Call) Later(int64) {}
