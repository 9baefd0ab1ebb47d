package lab

import (
	"context"
	"fmt"
	"os"
)

// Main is Isolate for a program that is no test: f's TB prints what it logs, and a fault ends f
// with exit code 1. Nothing is cleaned up, as the kernel does it when the process ends.
func Main(f func(TB)) int {
	return Isolate(RunnerFunc(func() (code int) {
		t := &program{}
		defer func() {
			if p := recover(); p != nil {
				if _, own := p.(*program); !own {
					panic(p)
				}
				code = 1
			}
		}()
		f(t)
		return 0
	}))
}

// program is the TB of Main.
type program struct{ failed bool }

func (p *program) Helper()                         {}
func (p *program) Cleanup(func())                  {}
func (p *program) Failed() bool                    { return p.failed }
func (p *program) Context() context.Context        { return context.Background() }
func (p *program) Logf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (p *program) Fatalf(format string, args ...any) {
	p.failed = true
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	panic(p)
}
