package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// refused wants an error object with one of these codes, if there are any, that mentions all of
// these words.
func refused(what string, err error, codes []int, words ...string) error {
	var f *fault
	if err == nil {
		return fmt.Errorf("%s succeeds", what)
	}
	if !errors.As(err, &f) || f.Garbled != "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	if len(codes) > 0 && !slices.Contains(codes, f.Code) {
		return fmt.Errorf("%s has code %d, want one of %v: %w", what, f.Code, codes, f)
	}
	for _, w := range words {
		if !strings.Contains(f.Msg+" "+f.Details, w) {
			return fmt.Errorf("%s: %q does not mention %s", what, f.Msg+" "+f.Details, w)
		}
	}
	return nil
}

// same compares what there is with what should be.
func same(what, got, want string) error {
	if got != want {
		return fmt.Errorf("%s: got %q, want %q", what, got, want)
	}
	return nil
}

// wrap puts what was tried before an error.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
