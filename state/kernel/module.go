package kernel

import (
	"errors"
	"syscall"

	"github.com/podnet/podnet/state/module"
)

// lacksLinkType is the error of making a link; where the kernel does not know the type, it says so.
func lacksLinkType(kind string, err error) error {
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return module.Missing(kind, kind)
	}
	return err
}
