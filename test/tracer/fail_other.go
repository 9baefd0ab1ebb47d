//go:build !amd64

package tracer

// CanFail says that this processor's calls can be made to fail, not only be killed.
const CanFail = false

func (c *Call) skip() {}
func (c *Call) fail() {}
