package firewall

import (
	"regexp"
	"strings"

	"github.com/podnet/podnet/state/module"
)

// missingModule is a sentence in which iptables says that the kernel lacks something; its first
// group is the name.
type missingModule struct {
	said         *regexp.Regexp
	what, module string // with the name in the place of %s
}

func missingModules() []missingModule {
	return []missingModule{
		{regexp.MustCompile(`Extension (\w+) revision \d+ not supported, missing kernel module`), "%s for iptables", "xt_%s"},
		{regexp.MustCompile("can't initialize iptables table `(\\w+)'"), "table %s for iptables-legacy", "iptable_%s"},
		{regexp.MustCompile("can't initialize ip6tables table `(\\w+)'"), "table %s for ip6tables-legacy", "ip6table_%s"},
		{regexp.MustCompile(`Could not fetch rule set generation id: (?:Invalid argument|Protocol not supported)`),
			"nftables", "nf_tables"},
	}
}

// lacksModule is the error of an iptables program; where a module is missing it says which, in the
// same words for both families.
func lacksModule(err error) error {
	if err == nil {
		return nil
	}
	for _, m := range missingModules() {
		if found := m.said.FindStringSubmatch(err.Error()); found != nil {
			name := found[len(found)-1]
			return module.Missing(strings.ReplaceAll(m.what, "%s", name), strings.ReplaceAll(m.module, "%s", name))
		}
	}
	return err
}
