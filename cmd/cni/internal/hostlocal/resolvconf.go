package hostlocal

import (
	"os"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// readResolvConf reads the file that ipam.resolvConf names; none named: no DNS.
func readResolvConf(path string) (types.DNS, error) {
	if path == "" {
		return types.DNS{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return types.DNS{}, protocol.Errorf(protocol.CodeIO, "ipam.resolvConf: %w", err)
	}
	return parseResolvConf(string(text)), nil
}

func parseResolvConf(text string) types.DNS {
	var dns types.DNS
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0][0] == '#' || words[0][0] == ';' {
			continue
		}
		switch words[0] {
		case "nameserver":
			dns.Nameservers = append(dns.Nameservers, words[1])
		case "domain":
			dns.Domain = words[1]
		case "search":
			dns.Search = append(dns.Search, words[1:]...)
		case "options":
			dns.Options = append(dns.Options, words[1:]...)
		}
	}
	return dns
}
