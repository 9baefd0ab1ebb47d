package lab

import (
	"os"
	"strconv"
)

// Full says that PODNET_FAULTS=full asks for every case of the tests that have thousands of a kind.
func Full() bool { return os.Getenv("PODNET_FAULTS") == "full" }

// Share is the number of the share of such cases that a run tries: PODNET_SHARE, or 0. Runs with
// different numbers try different cases, and the same number the same ones again.
func Share() int {
	n, err := strconv.Atoi(os.Getenv("PODNET_SHARE"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// InShare says whether this run tries the ith of some cases, if it tries one out of so many.
func InShare(i, outOf int) bool { return Full() || i%outOf == Share()%outOf }
