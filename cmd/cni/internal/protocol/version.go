package protocol

import (
	"slices"
	"strings"
)

// Versions of the specification that the plugins speak, in order.
var versions = []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// since says which version brought a verb.
func since(verb string) string {
	switch verb {
	case "CHECK":
		return "0.4.0"
	case "GC", "STATUS":
		return "1.1.0"
	}
	return versions[0]
}

// AtLeast says whether the configuration's version is v or later; both are among those that podnet knows.
func (r *Request) AtLeast(v string) bool {
	return slices.Index(versions, r.Version) >= slices.Index(versions, v)
}

func (r *Request) checkVersion() error {
	if !slices.Contains(versions, r.Version) {
		return &Error{Code: CodeVersion, Msg: "incompatible CNI versions",
			Details: "the configuration's cniVersion is \"" + r.Version + "\", the plugin knows " + strings.Join(versions, ", ")}
	}
	if !r.AtLeast(since(r.Verb)) {
		return Errorf(CodeVersion, "config version %s does not allow %s, which is since %s", r.Version, r.Verb, since(r.Verb))
	}
	return nil
}
