package document

import (
	"time"
)

// Collected is what gc says, for other programs.
type Collected struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Network    string  `json:"network"`
	Freed      []Lease `json:"freed"`
	Veths      int     `json:"veths"` // whose deletion was interrupted
	Mappings   int     `json:"mappings"`
	Kept       []Lease `json:"kept"` // of other plugins, without a veth of podnet's
}

// Lease is one address that a pod has, or had.
type Lease struct {
	Address     string    `json:"address"`
	ContainerID string    `json:"containerID"`
	IfName      string    `json:"ifname"`
	Since       time.Time `json:"since"`
}
