package tracer

import "golang.org/x/sys/unix"

// CanFail says that this processor's calls can be made to fail, not only be killed.
const CanFail = true

// skip has the kernel carry out no call at all.
func (c *Call) skip() { c.change(func(r *unix.PtraceRegs) { r.Orig_rax = ^uint64(0) }) }

// fail puts the verdict's errno into the place of the result.
func (c *Call) fail() {
	c.change(func(r *unix.PtraceRegs) { r.Rax = -uint64(c.verdict.Errno) })
}

// change writes registers; a thread that is gone has none.
func (c *Call) change(edit func(*unix.PtraceRegs)) {
	var r unix.PtraceRegs
	if unix.PtraceGetRegs(c.Tid, &r) == nil {
		edit(&r)
		_ = unix.PtraceSetRegs(c.Tid, &r)
	}
}
