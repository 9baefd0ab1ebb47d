package protocol

import (
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// formatResult returns the result as JSON of a version: without the fields of later versions, and
// with those that later versions dropped. It is written by hand because package json takes a
// plugin longer to get ready for these types than the kernel takes for a pod's addresses, and
// because the library's own conversion leaves fields of 1.1 in results of 1.0.
func formatResult(r *current.Result, version string) []byte {
	if order(version, "0.3.0") < 0 {
		return formatByFamily(r, version)
	}
	latest, old := version == versions[len(versions)-1], strings.HasPrefix(version, "0.")
	b := jsonText(nil)
	b = append(b, `{"cniVersion": `...)
	b = b.quote(version)
	b = list(b, "interfaces", r.Interfaces, func(b jsonText, in *current.Interface) jsonText {
		b = append(b, `{"name": `...).quote(in.Name).text("mac", in.Mac)
		if latest {
			b = b.number("mtu", in.Mtu)
		}
		b = b.text("sandbox", in.Sandbox)
		if latest {
			b = b.text("socketPath", in.SocketPath).text("pciID", in.PciID)
		}
		return append(b, '}')
	})
	b = list(b, "ips", r.IPs, func(b jsonText, ip *current.IPConfig) jsonText {
		b = append(b, `{"address": `...).quote(ip.Address.String())
		if old {
			b = b.text("version", ipVersion(ip.Address.IP))
		}
		return append(b.pointer("interface", ip.Interface).ip("gateway", ip.Gateway), '}')
	})
	b = list(b, "routes", r.Routes, func(b jsonText, route *types.Route) jsonText {
		b = append(b, `{"dst": `...).quote(route.Dst.String()).ip("gw", route.GW)
		if latest {
			b = b.number("mtu", route.MTU).number("advmss", route.AdvMSS)
			b = b.number("priority", route.Priority)
			b = b.pointer("table", route.Table).pointer("scope", route.Scope)
		}
		return append(b, '}')
	})
	if old || !r.DNS.IsEmpty() { // before 1.0 the library wrote an empty one, too
		b = b.dns(r)
	}
	return append(b, '}')
}

// formatByFamily returns the result as versions before 0.3.0 have it: no interfaces, and one
// address of each family, with the routes of that family.
func formatByFamily(r *current.Result, version string) []byte {
	b := append(jsonText(nil), `{"cniVersion": `...).quote(version)
	for _, family := range []string{"4", "6"} {
		i := slices.IndexFunc(r.IPs, func(ip *current.IPConfig) bool {
			return ipVersion(ip.Address.IP) == family
		})
		if i < 0 {
			continue
		}
		b = append(b.name("ip"+family),
			`{"ip": `...).quote(r.IPs[i].Address.String()).ip("gateway", r.IPs[i].Gateway)
		var routes []*types.Route
		for _, route := range r.Routes {
			if ipVersion(route.Dst.IP) == family {
				routes = append(routes, route)
			}
		}
		b = append(list(b, "routes", routes, func(b jsonText, route *types.Route) jsonText {
			return append(append(b, `{"dst": `...).quote(route.Dst.String()).ip("gw", route.GW),
				'}')
		}), '}')
	}
	return append(b.dns(r), '}')
}

func ipVersion(ip net.IP) string {
	if ip.To4() != nil {
		return "4"
	}
	return "6"
}

// jsonText is JSON in the making. Its methods add a field if it has a value.
type jsonText []byte

// quote adds a string.
func (b jsonText) quote(s string) jsonText {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // never fails for a string
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func (b jsonText) dns(r *current.Result) jsonText {
	quoted, _ := json.Marshal(&r.DNS) // strings
	return append(b.name("dns"), quoted...)
}

func (b jsonText) name(name string) jsonText {
	return append(append(append(b, `, "`...), name...), `": `...)
}

func (b jsonText) text(name, value string) jsonText {
	if value == "" {
		return b
	}
	return b.name(name).quote(value)
}

func (b jsonText) number(name string, value int) jsonText {
	if value == 0 {
		return b
	}
	return strconv.AppendInt(b.name(name), int64(value), 10)
}

func (b jsonText) pointer(name string, value *int) jsonText {
	if value == nil {
		return b
	}
	return strconv.AppendInt(b.name(name), int64(*value), 10)
}

func (b jsonText) ip(name string, ip net.IP) jsonText {
	if len(ip) == 0 {
		return b
	}
	return b.name(name).quote(ip.String())
}

// list adds a list of objects if it has any.
func list[T any](b jsonText, name string, values []*T, add func(jsonText, *T) jsonText) jsonText {
	if len(values) == 0 {
		return b
	}
	b = append(b.name(name), '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = add(b, v)
	}
	return append(b, ']')
}
