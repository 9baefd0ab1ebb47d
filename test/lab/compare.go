package lab

import (
	"errors"
	"fmt"
	"strings"
)

// Network is State without the sysctls: those that concern the whole host outlive podnet.
func (n *Node) Network() string {
	n.lab.Helper()
	network, _, _ := strings.Cut(n.State(), sysctlHeading)
	return network
}

// SameState compares two results of State; the error shows the lines that differ, each below its heading.
func SameState(before, after string) error {
	if before == after {
		return nil
	}
	var faults []string
	add := func(sign, this, other string) {
		there := map[string]int{}
		heading := ""
		for _, line := range strings.Split(other, "\n") {
			if strings.HasPrefix(line, "# ") {
				heading = line
			}
			there[heading+line]++
		}
		heading = ""
		for _, line := range strings.Split(this, "\n") {
			if strings.HasPrefix(line, "# ") {
				heading = line
			}
			if there[heading+line]--; there[heading+line] < 0 {
				faults = append(faults, fmt.Sprintf("%s %s: %s", sign, strings.TrimPrefix(heading, "# "), line))
			}
		}
	}
	add("gone: ", before, after)
	add("new:  ", after, before)
	if len(faults) == 0 {
		faults = append(faults, "the same lines in another order")
	}
	return errors.New(strings.Join(faults, "\n"))
}
