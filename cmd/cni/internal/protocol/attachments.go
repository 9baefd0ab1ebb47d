package protocol

import "encoding/json"

// Attachment is one interface of one container.
type Attachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// Attachments are those that a GC must keep.
type Attachments map[Attachment]bool

// Has reports whether the attachment is valid. Very old leases name no interface: for them any
// attachment of the container will do.
func (a Attachments) Has(containerID, ifname string) bool {
	if ifname != "" {
		return a[Attachment{containerID, ifname}]
	}
	for valid := range a {
		if valid.ContainerID == containerID {
			return true
		}
	}
	return false
}

// ValidAttachments returns what the runtime of a GC says is in use, and whether it says so at all.
// Only a list says so, and the empty list says that nothing is. A runtime that leaves the key out,
// or says null, has not told what is in use, and a GC then does nothing, as the other reading
// would cut off every pod. The specification asks runtimes for the key; libcni writes null for a
// list that was not given.
func (r *Request) ValidAttachments() (Attachments, bool, error) {
	raw := r.Config.Raw("cni.dev/valid-attachments")
	if raw == nil {
		raw = r.Config.Raw("cni.dev/attachments")
	}
	if raw == nil {
		return nil, false, nil
	}
	var list []Attachment
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, false, Errorf(CodeDecode, "cni.dev/valid-attachments: %w", err)
	}
	valid := Attachments{}
	for _, a := range list {
		if a.ContainerID == "" || a.IfName == "" {
			return nil, false, Errorf(CodeConfig,
				"cni.dev/valid-attachments: an entry without containerID or ifname: nothing is "+
					"collected, as it may mean any pod")
		}
		valid[a] = true
	}
	return valid, true, nil
}
