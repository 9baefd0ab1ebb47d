package protocol

import (
	"encoding/json"
	"io"
	"strings"

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

// PrevResult reads a prevResult, which is in the configuration's version whether it says so or not; nil if there is none.
func (r *Request) PrevResult(raw json.RawMessage) (*current.Result, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	if fields == nil { // null
		return nil, nil
	}
	if err := checkLists(fields); err != nil {
		return nil, err
	}
	fields["cniVersion"] = json.RawMessage(`"` + r.Version + `"`)
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	parsed, err := create.Create(r.Version, raw)
	if err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	result, err := current.NewResultFromResult(parsed)
	if err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	return result, nil
}

// checkLists refuses a null among the objects of a result, which the library would follow. Names of fields are read without
// regard to case, as the library does.
func checkLists(fields map[string]json.RawMessage) error {
	for name, raw := range fields {
		if !strings.EqualFold(name, "interfaces") && !strings.EqualFold(name, "ips") && !strings.EqualFold(name, "routes") {
			continue
		}
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return Errorf(CodeDecode, "prevResult: %s: %w", name, err)
		}
		for i, element := range list {
			if string(element) == "null" {
				return Errorf(CodeDecode, "prevResult: %s[%d] is null", name, i)
			}
		}
	}
	return nil
}
