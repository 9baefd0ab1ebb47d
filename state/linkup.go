package state

// LinkUp is a device's being up. It is an object of its own because addresses and sysctls come
// before it, and peers after.
type LinkUp struct {
	Device string
}

// LinkUpKey returns the key of the being up of the device of that name.
func LinkUpKey(device string) Key { return Key{Kind: KindLinkUp, Name: device} }

func (l LinkUp) Key() Key      { return LinkUpKey(l.Device) }
func (l LinkUp) Parent() Key   { return LinkKey(l.Device) }
func (l LinkUp) Name() string  { return l.Device }
func (l LinkUp) Attrs() string { return "up" }
