package state

// Live is what a node holds of what podnet owns, and what stands in its way.
type Live struct {
	Set
	Kept      Kinds      // of these it is what the look before saw, because nothing has happened to them
	Pods      []Pod      // of podnet's own network
	Published []HostPort // what is on record for those pods, as it should be
	Conflicts []Conflict
	Unknown   [KindCount]error // why a kind could not be read; its table then says nothing
	// of these only a part is unknown: the table holds it as it should be, so that the rest can be
	// healed
	Partly Kinds
}
