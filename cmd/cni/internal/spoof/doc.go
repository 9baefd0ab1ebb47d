// Package spoof keeps pods from sending with another MAC address than their own. The rules are the
// reference plugin's, so that either plugin removes what the other has made: a chain for each pod's
// port, and one for its address. They are written over netlink, all of a pod's at once.
//
// Guard replaces what is there, and Release of a pod without rules is no error. Start reading at
// Guard.
package spoof
