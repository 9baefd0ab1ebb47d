// Package inspect reads what only a person's question needs: the offload settings of a device,
// counters of dropped packets, a second host with this node's address, services' rules that bridged
// packets pass by. podnetd's passes do not use it.
package inspect
