//go:build !manual

package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

// operand is what becomes of an argument that is no flag.
func operand(set *pflag.FlagSet) error {
	return fmt.Errorf("unexpected argument %q (podnetd takes flags only)", set.Arg(0))
}
