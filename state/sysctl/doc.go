// Package sysctl reads and writes the settings below /proc/sys, in the network namespace of the
// calling thread. The settings themselves are values of package device.
package sysctl
