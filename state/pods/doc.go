// Package pods finds the pods of a node: it joins the address leases with the host veths, looks
// into pods' network namespaces, and frees the leases of pods that are gone. The runtime's own
// records are not read.
//
// List is what podnetctl pods shows, Collect is what podnetctl gc and podnetd do, and Namespace
// enters a pod.
package pods
