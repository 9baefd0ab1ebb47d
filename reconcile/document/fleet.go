package document

// FleetStatus is what fleet says of many nodes, for other programs.
type FleetStatus struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Good       bool             `json:"good"` // everybody is there, in sync and on the same, expected file
	Expected   FleetExpectation `json:"expected"`
	Groups     []FleetGroup     `json:"groups"`
	Missing    []string         `json:"missing"`
	Strangers  []string         `json:"strangers"` // report, and are not in the topology
	MTUs       []MTU            `json:"mtus"`
}

// FleetExpectation is what the nodes are held against.
type FleetExpectation struct {
	Digest string `json:"digest"` // "": nothing was said of it
	Nodes  int    `json:"nodes"`  // how many there should be; 0: no topology was given
}

// FleetGroup is nodes that say the same.
type FleetGroup struct {
	Digest string   `json:"digest"` // in force, or proposed
	InSync bool     `json:"inSync"`
	Failed bool     `json:"failed"` // not in sync, refused or broken; false for a plan that only has something to do
	Reason string   `json:"reason"`
	Detail string   `json:"detail,omitempty"`
	Impact string   `json:"impact,omitempty"` // of plans
	Nodes  []string `json:"nodes"`
}

// MTU is what nodes give their pods.
type MTU struct {
	MTU   int      `json:"mtu"` // bytes
	Nodes []string `json:"nodes"`
}
