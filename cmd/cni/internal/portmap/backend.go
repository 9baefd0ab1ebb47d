package portmap

import (
	"errors"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netfilter"
)

// backend is one way to put mappings in force.
type backend interface {
	// holdings are those in force that concern any of the ports of the host, and perhaps others.
	holdings(ports map[uint16]bool) ([]holding, error)
	// add puts an attachment's in force, of which none are yet.
	add(*attachment) error
	// check names what is missing or different, if anything is.
	check(*attachment) (string, error)
	// removal is what there is of somebody.
	removal(whose) (*removal, error)
}

// backends are both: a configuration may have said another one when a pod was added, and a port is
// taken whichever has it.
type backends struct {
	conn     *netfilter.Conn
	iptables backend
	nftables backend
}

func newBackends(conn *netfilter.Conn) *backends {
	return &backends{conn, newIPTables(conn), newNFTables(conn)}
}

func (b *backends) named(name string) backend {
	if name == nameNFTables {
		return b.nftables
	}
	return b.iptables
}

func (b *backends) holdings(ports map[uint16]bool) ([]holding, error) {
	first, err := b.nftables.holdings(ports)
	if err != nil {
		return nil, err
	}
	second, err := b.iptables.holdings(ports)
	return append(first, second...), err
}

func (b *backends) removal(w whose) (*removal, error) {
	first, err := b.nftables.removal(w)
	second, err2 := b.iptables.removal(w)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	first.join(second)
	return first, nil
}

// remove removes what there is of somebody, and what the kernel remembers of the ports. It returns
// the mappings that were in force.
func (b *backends) remove(w whose) ([]mapping, error) {
	r, err := b.removal(w)
	if err != nil || r.empty() {
		return nil, err
	}
	if err := r.commit(); err != nil {
		return nil, err
	}
	return r.gone, forget(b.conn, r.gone)
}

// backend returns the backend that the configuration names; if it names none, the one that its
// conditions are written for; "" if it has no conditions.
func (c *config) backend() (string, error) {
	name := c.Backend
	for i, conditions := range [][]string{c.ConditionsV4, c.ConditionsV6} {
		field, language := conditionFields[i == 1], languageOf(words(conditions))
		if name == "" {
			name = language
		}
		if language != "" && language != name {
			return "", configError("%s is written for %s, and the backend is %s: make them the same",
				field, language, name)
		}
	}
	if c.ExternalSetMarkChain != nil {
		if name == nameNFTables {
			return "", configError("externalSetMarkChain is a chain of iptables, and the backend " +
				"is nftables: leave it out")
		}
		name = nameIPTables
	}
	return name, nil
}

// installed returns the backend of that name. For no name it returns iptables, or nftables where
// only that is installed. The error says what this host lacks.
func installed(name string) (string, error) {
	lacks := map[string]error{nameIPTables: netfilter.HasIPTables(), nameNFTables: netfilter.HasNFTables()}
	if name == "" {
		name = nameIPTables
		if lacks[nameIPTables] != nil && lacks[nameNFTables] == nil {
			name = nameNFTables
		}
	}
	if err := lacks[name]; err != nil {
		return "", protocol.Errorf(protocol.CodeUnsupported,
			"backend %s: %w: install the package %[1]s", name, err)
	}
	return name, nil
}

// languageOf returns the backend that conditions are written for: those of iptables begin with an
// option, which no expression of nftables does. It returns "" if there are none.
func languageOf(conditions []string) string {
	switch {
	case len(conditions) == 0:
		return ""
	case strings.HasPrefix(conditions[0], "-"), strings.HasPrefix(conditions[0], "!"):
		return nameIPTables
	}
	return nameNFTables
}
