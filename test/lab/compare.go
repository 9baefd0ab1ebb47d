package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Network is State without the sysctls: those that concern the whole host outlive podnet.
func (n *Node) Network() string {
	n.lab.Helper()
	network, _, _ := strings.Cut(n.State(), sysctlHeading)
	return network
}

// SameState compares two results of State; the error says for every object that differs what it was
// and what it is.
func SameState(before, after string) error {
	if before == after {
		return nil
	}
	var faults []string
	gone, added := lacking(before, after), lacking(after, before)
	for _, was := range gone {
		i := slices.IndexFunc(added, func(is stateLine) bool { return was.object != "" && was.object == is.object })
		if i < 0 {
			faults = append(faults, "gone: "+was.String())
			continue
		}
		faults = append(faults, was.changes(added[i])...)
		added = slices.Delete(added, i, i+1)
	}
	for _, is := range added {
		faults = append(faults, "new:  "+is.String())
	}
	if len(faults) == 0 {
		faults = append(faults, "the same lines in another order")
	}
	return errors.New(strings.Join(faults, "\n"))
}

// stateLine is one line of a State with its heading. object names what it is about, if that can be
// told.
type stateLine struct {
	heading, text, object string
	fields                map[string]any
}

func (l stateLine) String() string { return strings.TrimPrefix(l.heading, "# ") + ": " + l.text }

// lacking are the lines of this that are not in other, below the same heading and as often.
func lacking(this, other string) []stateLine {
	there := map[[2]string]int{}
	for _, l := range stateLines(other) {
		there[[2]string{l.heading, l.text}]++
	}
	var lines []stateLine
	for _, l := range stateLines(this) {
		key := [2]string{l.heading, l.text}
		if there[key]--; there[key] < 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

func stateLines(state string) []stateLine {
	var lines []stateLine
	heading := ""
	for _, text := range strings.Split(state, "\n") {
		if strings.HasPrefix(text, "# ") {
			heading = text
			continue
		}
		l := stateLine{heading: heading, text: text}
		if err := json.Unmarshal([]byte(text), &l.fields); err == nil {
			for _, name := range []string{"ifname", "dev", "dst", "mac", "table"} {
				if v, ok := l.fields[name]; ok {
					l.object += fmt.Sprintf(" %v", v)
				}
			}
			if _, ok := l.fields["addr_info"]; ok { // of a link, beside the link itself
				l.object += " addresses"
			}
			l.object = heading + l.object
		} else if sysctl, _, ok := strings.Cut(text, " = "); ok {
			l.object = sysctl
		}
		lines = append(lines, l)
	}
	return lines
}

// changes names the fields in which two lines about one object differ.
func (l stateLine) changes(is stateLine) []string {
	if l.fields == nil {
		return []string{fmt.Sprintf("%v -> %s", l, is.text)}
	}
	var changes []string
	names := maps.Clone(l.fields)
	maps.Copy(names, is.fields)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was, is := l.fields[name], is.fields[name]; !reflect.DeepEqual(was, is) {
			changes = append(changes, fmt.Sprintf("%s: %s %v -> %v", strings.TrimPrefix(l.object, "# "), name, was, is))
		}
	}
	return changes
}
