package tracer

import (
	"errors"

	"golang.org/x/sys/unix"
)

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

// hideVDSO takes the kernel's page of functions, by which programs read the clocks without a call,
// out of what a program is told of at its start: it lies on the stack, behind the arguments and the
// environment.
func hideVDSO(pid int) error {
	const (
		word        = 8
		sysinfoEHDR = 33
		ignore      = 1
	)
	var r unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &r); err != nil {
		return err
	}
	c := Call{Tid: pid}
	at, ends := r.Rsp+word, 2 // of the arguments, of the environment
	for ; ; at += word {
		data := c.Bytes(at, word)
		switch {
		case len(data) < word:
			return errors.New("no auxiliary vector on the stack")
		case ends > 0 && native.Uint64(data) == 0:
			ends--
		case ends == 0 && native.Uint64(data) == 0:
			return nil // there is none
		case ends == 0 && native.Uint64(data) == sysinfoEHDR:
			return c.Put(at, native.AppendUint64(nil, ignore))
		case ends == 0:
			at += word // its value
		}
	}
}

// Later moves the wall clock that a call has read. It concerns no other clock.
func (c *Call) Later(seconds int64) {
	const realtime, coarse = unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE
	at := c.Args[1]
	switch {
	case c.Result != 0:
		return
	case c.Nr == unix.SYS_CLOCK_GETTIME && (c.Args[0] == realtime || c.Args[0] == coarse):
	case c.Nr == unix.SYS_GETTIMEOFDAY:
		at = c.Args[0]
	default:
		return
	}
	if data := c.Bytes(at, 8); len(data) == 8 {
		_ = c.Put(at, native.AppendUint64(nil, native.Uint64(data)+uint64(seconds))) // the program is alive, it stands still
	}
}
