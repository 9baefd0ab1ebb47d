package state

// Conflict is somebody else's object in podnet's way. It is reported and never changed.
type Conflict struct {
	Key    Key    // podnet's object that it concerns
	Name   string // the object that is in the way, if it is not that very one
	Owner  string // what it is, in words
	Remedy string // the command that ends it; "": none does, and Owner says what to choose
	Blocks bool   // podnet's object cannot be as desired meanwhile
	Counts bool   // podnet's objects are there and have no effect, so that the node is not in sync

	Rule PolicyRule // that takes podnet's packets; zero: it is about something else
}

// Object is what is in the way, by name.
func (c Conflict) Object() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Key.Name
}
