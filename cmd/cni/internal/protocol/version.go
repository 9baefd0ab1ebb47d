package protocol

import (
	"slices"
	"strings"
)

// versions are those of the specification that the plugins speak, in ascending order.
var versions = []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// unversioned is the version of a configuration that does not say one, as the specification has it.
const unversioned = "0.1.0"

// since returns the version of the specification that brought a verb.
func since(verb string) string {
	switch verb {
	case "CHECK":
		return "0.4.0"
	case "GC", "STATUS":
		return "1.1.0"
	}
	return versions[0]
}

// AtLeast reports whether the configuration's version is v or later; v is one that podnet knows.
func (r *Request) AtLeast(v string) bool { return order(r.Version, v) >= 0 }

// order compares two versions, as strings.Compare does; one that podnet does not know precedes all
// others.
func order(a, b string) int { return slices.Index(versions, a) - slices.Index(versions, b) }

// checkVersion refuses what the configuration's version does not have. A DEL has no answer that a
// version could shape, and a pod must end whatever configuration it was added with: it takes any
// version.
func (r *Request) checkVersion() error {
	if r.Verb == "DEL" {
		return nil
	}
	if !slices.Contains(versions, r.Version) {
		return &Error{Code: CodeVersion, Msg: "incompatible CNI versions",
			Details: "the configuration's cniVersion is \"" + r.Version + "\", " +
				"the plugin knows " + strings.Join(versions, ", ") + ": write one of these"}
	}
	if !r.AtLeast(since(r.Verb)) {
		return Errorf(CodeVersion, "config version %s does not allow %s, which is since %s",
			r.Version, r.Verb, since(r.Verb))
	}
	return nil
}
