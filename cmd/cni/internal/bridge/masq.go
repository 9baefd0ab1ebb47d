package bridge

import (
	"net/netip"

	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/masquerade"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// ensureMasquerade makes the rules of ipMasq be there: one for each range if the addresses are this node's own, so that a
// pod of a network that has pods finds them, else one for each of the pod's addresses.
func ensureMasquerade(req *protocol.Request, c *config, a *addressing) error {
	if !c.masquerades() {
		return nil
	}
	rules, err := masqueradeRules(req, c, a)
	if err != nil {
		return err
	}
	return masquerade.Ensure(c.IPMasqBackend, req.Network, rules)
}

func (c *config) masquerades() bool { return c.IPMasq && c.layer3() }

func masqueradeRules(req *protocol.Request, c *config, a *addressing) ([]masquerade.Rule, error) {
	var rules []masquerade.Rule
	if c.IPAM.Type != hostlocal.Type {
		for _, addr := range a.addrs {
			rules = append(rules, masquerade.Rule{
				Source: netip.PrefixFrom(addr.prefix.Addr(), addr.prefix.Addr().BitLen()), Within: addr.prefix.Masked(), Owner: vethName(req),
			})
		}
		return rules, nil
	}
	sets, err := hostlocal.Sets(req)
	for _, set := range sets {
		for _, r := range set {
			for _, source := range r.Prefixes() {
				rules = append(rules, masquerade.Rule{Source: source, Within: r.Subnet})
			}
		}
	}
	return rules, err
}

// forgetMasquerade removes the rules that nobody uses any more, after the addresses have been released. Where the configuration
// does not ask for ipMasq, but may have done so when pods were added, only the network's last pod has them looked for, and
// podnet's own conflist, which never asks, none.
func forgetMasquerade(req *protocol.Request, c *config) error {
	if !c.masquerades() {
		if c.Podnet != nil || c.IPAM.Type != hostlocal.Type {
			return nil
		}
		if used, err := inUse(req, c); err != nil || used {
			return err
		}
	}
	return masquerade.Remove(req.Network, func(owner string) bool { return owner == vethName(req) }, func() (bool, error) { return inUse(req, c) })
}

// collectMasquerade does so for all attachments that are not valid, whatever the configuration says today.
func collectMasquerade(req *protocol.Request, c *config, valid protocol.Attachments) error {
	keep := hostEnds(req, valid)
	return masquerade.Remove(req.Network, func(owner string) bool { return !keep[owner] }, func() (bool, error) {
		if len(valid) > 0 {
			return true, nil
		}
		return inUse(req, c)
	})
}

// inUse says whether the network has any lease; of one whose leases another plugin keeps it takes the yes for granted.
func inUse(req *protocol.Request, c *config) (bool, error) {
	if c.IPAM.Type != hostlocal.Type {
		return req.Verb != "GC", nil
	}
	return hostlocal.InUse(req)
}
