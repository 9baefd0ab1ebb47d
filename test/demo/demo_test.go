package main

import (
	"os"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// The first thing that a newcomer sees has to hold.
func TestDemo(t *testing.T) {
	lab.Need(t)
	if code := run(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
