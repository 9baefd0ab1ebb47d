package main

import (
	"math"
	"os"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// The soak, as long as CI can wait; make soak runs it for twenty minutes.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	soak(t, 20*time.Second, 300)
}

func TestSlope(t *testing.T) {
	x := []float64{0, 1, 2, 3}
	if got := slope(x, []float64{1, 3, 5, 7}); math.Abs(got-2) > 1e-9 {
		t.Errorf("slope of a line of slope 2: %v", got)
	}
	if got := slope(x, []float64{4, 4, 4, 4}); got != 0 {
		t.Errorf("slope of a flat line: %v", got)
	}
}
