package options

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// Duration adds a flag for a duration, set to otherwise. It refuses what is shorter than least, on
// the command line as anywhere else that flags are read from.
func Duration(flags *pflag.FlagSet, value *time.Duration, name string, otherwise, least time.Duration, usage string) {
	*value = otherwise
	flags.Var(&duration{value, least}, name, usage)
}

// duration is a flag's value.
type duration struct {
	value *time.Duration
	least time.Duration
}

func (d *duration) Set(s string) error {
	value, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return errors.New("write a duration such as 30s, 5m or 1h")
	case value < d.least:
		return fmt.Errorf("at least %s", d.least)
	}
	*d.value = value
	return nil
}

// String is 0 for none: the flag package shows no such default.
func (d *duration) String() string {
	if *d.value == 0 {
		return "0"
	}
	return d.value.String()
}

// Type is what the flag's help calls its value.
func (d *duration) Type() string { return "duration" }
