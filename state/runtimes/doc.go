// Package runtimes reads what the container runtimes of a host are told of CNI: where each looks
// for plugins and for network configuration. A conflist that a runtime does not read, and plugins
// that it does not find, are as good as none.
//
// It knows containerd (its CRI service) and that of k3s and RKE2, CRI-O, nerdctl, podman where that
// uses CNI, and Nomad's clients. It reads their configuration files at their fixed paths below a
// root, and executes nothing: a verb that only looks may run as root for somebody who is not. What
// it cannot read is a Fault, never a guess, and a Fault shows no text of the file.
//
// Start at Read. containerd.go, others.go and nomad.go hold one runtime's rules each; toml.go is
// the reading of a file.
package runtimes
