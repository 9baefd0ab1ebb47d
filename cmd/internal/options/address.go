package options

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"
)

// Address adds a flag for a TCP address to listen at, set to otherwise; "" is none, and says so
// wherever it is written. It refuses what is no address, not one that cannot be had.
func Address(flags *pflag.FlagSet, value *string, name, otherwise, usage string) error {
	*value = otherwise
	flags.Var((*address)(value), name, usage)
	return flags.SetAnnotation(name, MayBeEmpty, nil)
}

// address is a flag's value.
type address string

func (a *address) Set(s string) error {
	if s != "" && !listenable(s) {
		return errors.New("write HOST:PORT, such as 127.0.0.1:9472, [::1]:9472 or :9472")
	}
	*a = address(s)
	return nil
}

// listenable: a port by its number or its name in /etc/services, a host by its address or its name,
// or none.
func listenable(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || port == "" {
		return false
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	return strings.Trim(last, "0123456789") != "" && !strings.ContainsAny(host, " \t/:[]%@") // 192.0.2.300 is no name
}

func (a *address) String() string { return string(*a) }

// Type is what the flag's help calls its value.
func (a *address) Type() string { return "address" }
