package kernel

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// noModule says what to do about a kernel that has not got what a module of it brings.
func noModule(what, module string) error {
	return fmt.Errorf("this kernel has no %s: modprobe %s, or install linux-modules-extra-%s; after a kernel upgrade: reboot", what, module, kernelRelease())
}

func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "$(uname -r)"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// lacksLinkType is the error of making a link; where the kernel does not know the type, it says so.
func lacksLinkType(kind string, err error) error {
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return noModule(kind, kind)
	}
	return err
}

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
		{regexp.MustCompile(`Could not fetch rule set generation id: (?:Invalid argument|Protocol not supported)`), "nftables", "nf_tables"},
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
			return noModule(strings.ReplaceAll(m.what, "%s", name), strings.ReplaceAll(m.module, "%s", name))
		}
	}
	return err
}
