package protocol

import (
	"encoding/json"
	"io"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
)

// printResult writes a result as the configuration's version has it.
func printResult(w io.Writer, r *current.Result, version string) error {
	out := *r
	out.CNIVersion = current.ImplementedSpecVersion
	if version != current.ImplementedSpecVersion {
		strip(&out)
	}
	converted, err := out.GetAsVersion(version)
	if err != nil {
		return Errorf(CodeVersion, "result as version %s: %w", version, err)
	}
	if err := converted.PrintTo(w); err != nil {
		return Errorf(CodeIO, "write the result: %w", err)
	}
	return nil
}

// strip takes away what came with 1.1.0, which the library leaves in.
func strip(r *current.Result) {
	interfaces := make([]*current.Interface, len(r.Interfaces))
	for i, in := range r.Interfaces {
		interfaces[i] = &current.Interface{Name: in.Name, Mac: in.Mac, Sandbox: in.Sandbox}
	}
	routes := make([]*types.Route, len(r.Routes))
	for i, route := range r.Routes {
		routes[i] = &types.Route{Dst: route.Dst, GW: route.GW}
	}
	r.Interfaces, r.Routes = interfaces, routes
}

// PrevResult reads a prevResult, which is in the configuration's version whether it says so or not; nil if there is none.
func (r *Request) PrevResult(raw json.RawMessage) (*current.Result, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
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

// checkLists refuses a null among the objects of a result, which the library would follow.
func checkLists(fields map[string]json.RawMessage) error {
	for _, name := range []string{"interfaces", "ips", "routes"} {
		var list []json.RawMessage
		if err := json.Unmarshal(fields[name], &list); len(fields[name]) > 0 && err != nil {
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
