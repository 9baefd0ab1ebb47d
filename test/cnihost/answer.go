package cnihost

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/podnet/podnet/test/lab"
)

// Result is what an ADD printed.
type Result struct {
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

	Raw string // as printed
}

func parseResult(tb lab.TB, text string) Result {
	r := Result{Raw: text}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		tb.Fatalf("the result is no JSON: %v: %q", err, text)
	}
	return r
}

// Addresses are the result's, with their prefix lengths.
func (r Result) Addresses() string {
	var all []string
	for _, ip := range r.IPs {
		all = append(all, ip.Address)
	}
	return strings.Join(all, " ")
}

// RouteTexts are the result's routes, each with its gateway if it has one.
func (r Result) RouteTexts() string {
	var all []string
	for _, route := range r.Routes {
		all = append(all, strings.TrimSpace(route.Dst+" "+route.GW))
	}
	return strings.Join(all, ", ")
}

// Has says whether an object in a list of the result has a field.
func (r Result) Has(list, field string) bool {
	var raw map[string]json.RawMessage
	var objects []map[string]any
	if json.Unmarshal([]byte(r.Raw), &raw) != nil || json.Unmarshal(raw[list], &objects) != nil {
		return false
	}
	return slices.ContainsFunc(objects, func(o map[string]any) bool { _, ok := o[field]; return ok })
}

// Fault is the error object of a plugin.
type Fault struct {
	CNIVersion   string
	Code         int
	Msg, Details string

	Garbled string // what was printed instead of an error object
}

func newFault(out lab.Output) *Fault {
	f := &Fault{}
	if err := json.Unmarshal([]byte(out.Stdout), f); err != nil {
		f.Garbled = fmt.Sprintf("exit code %d, stdout %q, stderr %q", out.Code, out.Stdout, out.Stderr)
	}
	return f
}

func (f *Fault) Error() string {
	if f.Garbled != "" {
		return "no error object: " + f.Garbled
	}
	return strings.TrimSpace(fmt.Sprintf("code %d: %s %s", f.Code, f.Msg, f.Details))
}
