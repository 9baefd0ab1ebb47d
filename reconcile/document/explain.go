package document

// States of a hop.
const (
	HopOK    = "ok"
	HopWrong = "wrong"
	HopLost  = "lost" // packets were sent there, and none came back
)

// Hop is one station on the way.
type Hop struct {
	N      int    `json:"n"` // from 1
	Kind   string `json:"kind"`
	Detail string `json:"detail"` // what is there
	State  string `json:"state"`
	Want   string `json:"want"` // what should be there; empty if it is
	Note   string `json:"note,omitempty"`
}

// Explanation is the way of a packet.
type Explanation struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	From       string `json:"from"`          // address
	Pod        string `json:"pod,omitempty"` // what the runtime calls the sender
	To         string `json:"to"`            // address
	Node       string `json:"node"`          // that has it; empty: it is outside of the cluster
	Broken     int    `json:"broken"`        // the first hop that is not ok; 0: none
	Hops       []Hop  `json:"hops"`
	Cause      string `json:"cause"` // empty, like the rest, if no hop is broken

	// Fix is a command that mends the broken hop when it is pasted into a shell on this node. It is
	// empty where explain has not seen the fault itself, or where no command of this node mends it.
	Fix    string   `json:"fix"`
	Advice string   `json:"advice,omitempty"` // what somebody has to do elsewhere, or to decide
	Look   []string `json:"look,omitempty"`   // commands that show what explain has not read

	Note     string `json:"note,omitempty"` // behind the fix
	Return   string `json:"return"`         // the command for the way back
	ReturnOn string `json:"returnOn,omitempty"`
}

// Explanations is what explain --all says, for other programs.
type Explanations struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	From       string        `json:"from"`
	Broken     int           `json:"broken"` // peers
	Peers      []Explanation `json:"peers"`
}
