// Package loopback is the plugin that sets up lo in a pod. It hands on the result of the plugins
// before it, or tells what lo has. A namespace that has gone is no error of a DEL.
//
// All of it is in loopback.go.
package loopback
