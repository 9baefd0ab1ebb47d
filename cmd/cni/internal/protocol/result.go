package protocol

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
)

// printResult writes a result as the configuration's version has it.
func printResult(w io.Writer, r *current.Result, version string) error {
	if _, err := w.Write(append(formatResult(r, version), '\n')); err != nil {
		return Errorf(CodeIO, "write the result: %w", err)
	}
	return nil
}

// PrevResult returns the configuration's prevResult, nil if it has none. That is in the
// configuration's version whether it says so or not.
func (r *Request) PrevResult() (*current.Result, error) {
	raw := r.Config.Raw("prevResult")
	if raw == nil {
		return nil, nil
	}
	fields, err := readLists(raw)
	if err != nil {
		return nil, fmt.Errorf("prevResult: %w", err)
	}
	fields["cniVersion"] = json.RawMessage(jsonText(nil).quote(r.Version))
	if raw, err = json.Marshal(fields); err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	result, err := convert(create.Create(r.Version, raw))
	if err != nil {
		return nil, fmt.Errorf("prevResult: %w", err)
	}
	return result, nil
}

// ParseResult reads what another plugin answered, in the version that it says.
func ParseResult(raw []byte) (*current.Result, error) {
	if _, err := readLists(raw); err != nil {
		return nil, err
	}
	result, err := convert(create.CreateFromBytes(raw))
	if err != nil {
		return nil, err
	}
	return result, CheckRoutes(result.Routes)
}

func convert(parsed types.Result, err error) (*current.Result, error) {
	if err != nil {
		return nil, Errorf(CodeDecode, "%w", err)
	}
	result, err := current.NewResultFromResult(parsed)
	if err != nil {
		return nil, Errorf(CodeDecode, "%w", err)
	}
	return result, nil
}

// readLists reads the fields of a result, nil for null.
func readLists(raw []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, Errorf(CodeDecode, "%w", err)
	}
	return fields, checkLists(fields)
}

// checkLists refuses a null among the objects of a result, which the library would follow. Names of
// fields are read without regard to case, as the library does.
func checkLists(fields map[string]json.RawMessage) error {
	for name, raw := range fields {
		folded := func(known string) bool { return strings.EqualFold(known, name) }
		if !slices.ContainsFunc([]string{"interfaces", "ips", "routes"}, folded) {
			continue
		}
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return Errorf(CodeDecode, "%s: %w", name, err)
		}
		for i, element := range list {
			if string(element) == "null" {
				return Errorf(CodeDecode, "%s[%d] is null", name, i)
			}
		}
	}
	return nil
}
