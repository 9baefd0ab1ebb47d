package schema

import (
	"fmt"
	"strings"
)

// label reads an RFC 1123 label; empty after a fault.
func (r *reader) label(v value) string {
	const remedy = "an RFC 1123 label: a-z, 0-9 and -, at most 63, a letter or digit first and last"
	name, ok := r.text(v, remedy)
	if !ok {
		return ""
	}
	if fault := labelFault(name); fault != "" {
		r.wrong(v, show(name)+" "+fault, remedy)
		return ""
	}
	return name
}

// subdomain reads an RFC 1123 subdomain, labels with dots between them; empty after a fault.
func (r *reader) subdomain(v value) string {
	const remedy = "an RFC 1123 subdomain: a-z, 0-9, - and dots, at most 253, a letter or digit at both ends of each label"
	name, ok := r.text(v, remedy)
	if !ok {
		return ""
	}
	fault := ""
	if len(name) > 253 {
		fault = fmt.Sprintf("has %d characters", len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if fault == "" && !isLabelText(label) {
			fault = labelFault(label)
			if label != name && label != "" {
				fault = "has the part " + show(label) + ", which " + fault
			}
		}
	}
	if fault != "" {
		r.wrong(v, show(name)+" "+fault, remedy)
		return ""
	}
	return name
}

// isLabelText is labelFault without the limit of 63: Kubernetes, whose node names these are, limits
// the whole name only.
func isLabelText(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && s[0] != '-' && s[len(s)-1] != '-'
}

func labelFault(s string) string {
	switch {
	case s == "":
		return "has an empty part"
	case isLabelText(s) && len(s) > 63:
		return fmt.Sprintf("has %d characters", len(s))
	case isLabelText(s):
		return ""
	case s != strings.ToLower(s):
		return "has capital letters"
	case s[0] == '-' || s[len(s)-1] == '-':
		return "begins or ends with a dash"
	}
	for _, c := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", c) {
			return fmt.Sprintf("has the character %q", c)
		}
	}
	return "is not a name"
}

// interfaceName reads the name of a device that podnet makes. The kernel takes almost any byte;
// refused are also those that it replaces (%), that iptables takes for a wildcard (a plus sign at
// the end) or that have to be quoted there, and what ip takes for an option. Empty after a fault.
func (r *reader) interfaceName(v value) string {
	const remedy = "1 to 15 letters, digits, dots, dashes and underscores"
	name, ok := r.text(v, remedy)
	if !ok {
		return ""
	}
	fault := interfaceFault(name)
	if fault != "" {
		r.wrong(v, show(name)+" "+fault, remedy)
		return ""
	}
	return name
}

func interfaceFault(name string) string {
	switch {
	case len(name) > 15:
		return fmt.Sprintf("has %d bytes, an interface name at most 15", len(name))
	case name == "." || name == ".." || name == "all" || name == "default" || name == "lo":
		return "is a name that the kernel keeps for itself"
	case name[0] == '-' || name[0] == '!' || name[len(name)-1] == '+':
		return "begins with - or !, or ends with +"
	}
	for _, c := range name {
		if c <= ' ' || c > '~' || strings.ContainsRune(`/:%"'\`, c) {
			return fmt.Sprintf("has the character %q", c)
		}
	}
	return ""
}

// networkName reads the name of a CNI network, as the CNI specification has it. 128 leaves room for
// the container's id in an interface alias.
func (r *reader) networkName(v value) string {
	const remedy = "letters, digits, _ . and -, a letter or digit first, at most 128"
	name, ok := r.text(v, remedy)
	if !ok {
		return ""
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if len(name) > 128 || strings.Trim(name, letters+"_.-") != "" || !strings.Contains(letters, name[:1]) {
		r.wrong(v, show(name)+" is not the name of a CNI network", remedy)
	}
	return name
}
