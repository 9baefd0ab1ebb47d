package conformance

import (
	"context"
	"fmt"

	"github.com/podnet/podnet/test/cnihost"
)

// try runs a case once and says what is wrong.
func try(dir, version string, c testCase) (err error) {
	tb := &attempt{}
	defer tb.end()
	defer func() {
		if p := recover(); p != nil {
			stopped, own := p.(stop)
			if !own {
				panic(p)
			}
			err = stopped
		}
	}()
	return c.run(&host{cnihost.New(tb, dir), version})
}

// attempt is the lab's view of a case: a fault ends the case and not the test, as the fault may be
// the reference's.
type attempt struct {
	cleanups []func()
	failed   bool
}

// stop is what Fatalf ends a case with.
type stop string

func (s stop) Error() string { return string(s) }

// Helper, Logf, Fatalf, Cleanup, Failed and Context are what a lab asks for.
func (a *attempt) Helper()                  {}
func (a *attempt) Logf(string, ...any)      {}
func (a *attempt) Cleanup(f func())         { a.cleanups = append(a.cleanups, f) }
func (a *attempt) Failed() bool             { return a.failed }
func (a *attempt) Context() context.Context { return context.Background() }

func (a *attempt) Fatalf(format string, args ...any) {
	a.failed = true
	panic(stop(fmt.Sprintf(format, args...)))
}

func (a *attempt) end() {
	for i := len(a.cleanups) - 1; i >= 0; i-- {
		a.cleanups[i]()
	}
}
