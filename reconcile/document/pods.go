package document

import (
	"time"
)

// PodList is what pods says, for other programs.
type PodList struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Node       string `json:"node"`
	Pods       []Pod  `json:"pods"`
}

// Pod is one attachment to podnet's network.
type Pod struct {
	Namespace   string     `json:"namespace"` // as the runtime calls it; empty, like the name: it did not say
	Name        string     `json:"name"`
	ContainerID string     `json:"containerID"`
	IfName      string     `json:"ifname"`
	Addresses   []string   `json:"addresses"`
	HostVeth    string     `json:"hostVeth"` // empty: there is none
	Since       *time.Time `json:"since"`
	HostPorts   []string   `json:"hostPorts,omitempty"` // that lead to it, as podnetd keeps them: 8080/tcp to 10.244.1.2:80
	Trouble     string     `json:"trouble,omitempty"`   // what it lacks
}
