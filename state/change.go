package state

// Op is what is done to an object.
type Op uint8

// The operations. An Update whose Replace says why is a deletion and a creation.
const (
	Create Op = iota
	Update
	Delete
)

func (o Op) String() string { return [...]string{"create", "update", "delete"}[o] }

// Change is one object's way from what it is to what it should be.
type Change struct {
	Op      Op
	Kind    Kind
	Have    Resource // nil: there is none
	Want    Resource // nil: nobody wants it
	Replace string   // why it cannot be changed in place; "": it can
	Origin  Origin
	Left    bool  // the topology asked for it until now, and does no longer
	Err     error // what went wrong when it was carried out
}

// Key is the changed object's.
func (c *Change) Key() Key { return c.Object().Key() }

// Object is the wanted object, or the one that goes.
func (c *Change) Object() Resource {
	if c.Want != nil {
		return c.Want
	}
	return c.Have
}
