package faults

import (
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/tracer"
)

// A daemon in which an operation fails says so for as long as it does, and puts things right by
// itself afterwards.
func TestFaultsPass(t *testing.T) {
	if !tracer.CanFail {
		t.Skip("faults are put into the registers of amd64")
	}
	tried := 0
	t.Run("all", func(t *testing.T) {
		for i, o := range operations() {
			if o.work != firstApply || o.early || o.status || !lab.InShare(i, 8) {
				continue
			}
			tried++
			t.Run(o.name, func(t *testing.T) {
				t.Parallel()
				passes(t, o)
			})
		}
	})
	report(t, fmt.Sprintf("podnetd: %d operations fail for a while: each is reported, and made good without a restart\n", tried))
}

func passes(t *testing.T, o operation) {
	n := newTarget(t, shapes()[1])
	n.Write(n.before)
	var over atomic.Bool
	f := fault{operation: o, errno: unix.ENOMEM, off: over.Load}
	ended := make(chan error, 1)
	cmd := n.podnetd()
	cmd.Args = append(cmd.Args, "--resync", "1s")
	go func() {
		out, err := f.tracer().Run(n.Namespace, cmd)
		if err == nil && out.Code != 0 {
			err = fmt.Errorf("exit code %d", out.Code)
		}
		ended <- err
	}()
	n.AwaitCondition("Degraded", "True")
	ready := map[bool]string{true: "False", false: "True"}[o.own]
	n.AwaitCondition("Ready", ready)
	over.Store(true)
	n.AwaitInForce()
	s, err := n.Status()
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Condition("Degraded"); c.Status != "False" {
		t.Errorf("after the fault: %+v", c)
	}
	if err := n.succeeds("diff"); err != nil {
		t.Error(err)
	}
	_ = unix.Kill(s.Daemon.PID, unix.SIGTERM)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
