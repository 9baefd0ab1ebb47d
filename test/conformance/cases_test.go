package conformance

import "slices"

// cases are all promises, in the order of the table.
func cases() []testCase {
	return slices.Concat(shapeCases(), routeCases(), addressCases(), ipamCases(), lifecycleCases(), checkCases(), poolCases(), firewallCases())
}
