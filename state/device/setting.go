package device

// Setting is a sysctl: a path below /proc/sys, because devices have dots in their names, and a
// value.
type Setting struct{ Path, Value string }
