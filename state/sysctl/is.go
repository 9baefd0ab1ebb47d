package sysctl

// Is says whether a setting, a path below /proc/sys, has a value; one that is not there has none.
func Is(path, value string) bool {
	have, err := Read(path)
	return err == nil && have == value
}
