package conformance

import "slices"

// cases are all promises, in the order of the table.
func cases() []testCase {
	return slices.Concat(shapeCases(), addressCases(), lifecycleCases(), checkCases(), poolCases(), firewallCases())
}
