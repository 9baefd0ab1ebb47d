package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/podnet/podnet/test/lab"
)

// result is what an ADD printed.
type result struct {
	CNIVersion string
	Interfaces []struct{ Name, Mac, Sandbox string }
	IPs        []struct {
		Version, Address, Gateway string
		Interface                 *int
	}
	Routes []struct{ Dst, GW string }
	DNS    struct {
		Nameservers, Search, Options []string
		Domain                       string
	}

	raw string
}

func parseResult(tb lab.TB, text string) result {
	r := result{raw: text}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		tb.Fatalf("the result is no JSON: %v: %q", err, text)
	}
	return r
}

// addresses are the result's, with their prefix lengths.
func (r result) addresses() string {
	var all []string
	for _, ip := range r.IPs {
		all = append(all, ip.Address)
	}
	return strings.Join(all, " ")
}

func (r result) routes() string {
	var all []string
	for _, route := range r.Routes {
		all = append(all, strings.TrimSpace(route.Dst+" "+route.GW))
	}
	return strings.Join(all, ", ")
}

// has says whether an object in a list of the result has a field.
func (r result) has(list, field string) bool {
	var raw map[string]json.RawMessage
	var objects []map[string]any
	if json.Unmarshal([]byte(r.raw), &raw) != nil || json.Unmarshal(raw[list], &objects) != nil {
		return false
	}
	return slices.ContainsFunc(objects, func(o map[string]any) bool { _, ok := o[field]; return ok })
}

// fault is the error object of a plugin.
type fault struct {
	CNIVersion   string
	Code         int
	Msg, Details string

	garbled string // what was printed instead of an error object
}

func newFault(out lab.Output) *fault {
	f := &fault{}
	if err := json.Unmarshal([]byte(out.Stdout), f); err != nil {
		f.garbled = fmt.Sprintf("exit code %d, stdout %q, stderr %q", out.Code, out.Stdout, out.Stderr)
	}
	return f
}

func (f *fault) Error() string {
	if f.garbled != "" {
		return "no error object: " + f.garbled
	}
	return strings.TrimSpace(fmt.Sprintf("code %d: %s %s", f.Code, f.Msg, f.Details))
}

// refused wants an error object with one of these codes, if there are any, that mentions all of these words.
func refused(what string, err error, codes []int, words ...string) error {
	var f *fault
	if err == nil {
		return fmt.Errorf("%s succeeds", what)
	}
	if !errors.As(err, &f) || f.garbled != "" {
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
