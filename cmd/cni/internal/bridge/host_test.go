package bridge_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// host is a node without a daemon, on which plugins are executed.
type host struct{ *cnihost.Node }

// newHost makes a host on which bridges get the routes of their link-local address with their
// carrier. With duplicate address detection they would come a second or more later, in the middle
// of what a test compares.
func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{cnihost.NewNode(t)}
	h.SetSysctl("net/ipv6/conf/default/accept_dad", "0")
	return h
}

// conf makes a configuration of the bridge plugin: fields beside the usual ones, and those of ipam.
func (h *host) conf(fields, ranges string) string {
	if fields != "" {
		fields += ","
	}
	ipam := "{}"
	if ranges != "" {
		ipam = fmt.Sprintf(`{"type":"host-local","dataDir":%q,%s}`, h.DataDir(), ranges)
	}
	return fmt.Sprintf(`{"cniVersion":"1.0.0","name":"net","type":"bridge","bridge":"br0",%s"ipam":%s}`, fields, ipam)
}

const (
	ranges4  = `"ranges":[[{"subnet":"10.1.0.0/24"}]]`
	ranges6  = `"ranges":[[{"subnet":"fd00:1::/64"}]]`
	ranges46 = `"ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00:1::/64"}]]`
)

// on is a call of the bridge plugin for a pod.
func on(p *lab.Pod, conf string) cnihost.Call {
	return cnihost.Call{Plugin: "bridge", ID: p.ID, Netns: p.Path, Conf: conf}
}

// check is a CHECK with the result of the ADD.
func (h *host) check(c cnihost.Call, result string) error {
	h.T.Helper()
	c.Conf = strings.TrimSuffix(c.Conf, "}") + `,"prevResult":` + result + "}"
	_, err := h.Try(c.With("CHECK"))
	return err
}

// state is all that the plugins could have changed on the host, as text that is the same as long as
// nothing is changed.
func (h *host) state() string {
	h.T.Helper()
	h.settle()
	var b strings.Builder
	for _, line := range []string{"ip -o link show", "ip -o addr show", "ip route show table all", "ip -6 route show table all",
		"ip neigh show nud permanent", "ip -6 neigh show nud permanent"} {
		b.WriteString(h.Sh(line))
	}
	b.WriteString(h.podNeighbours())
	return strings.ReplaceAll(b.String(), " tentative", "") + h.LeaseFiles()
}

// podNeighbours are the entries of pods, without their state, which changes with the traffic.
func (h *host) podNeighbours() string {
	h.T.Helper()
	var b strings.Builder
	for line := range strings.Lines(h.Sh("ip neigh show")) {
		if entry, _, is := strings.Cut(line, " extern_learn"); is {
			b.WriteString(entry + "\n")
		}
	}
	return b.String()
}

// settle waits until the bridges, the plugins' and the foreign one, have noticed that they have a
// port, which they do a while after the port.
func (h *host) settle() {
	h.T.Helper()
	for _, bridge := range []string{"br0", "other0"} {
		lab.Eventually(h.T, lab.Patience, "carrier of "+bridge, func() error {
			links, routes := h.Sh("ip -o link show"), h.Sh("ip route show dev "+bridge)
			port := regexp.MustCompile("(<[^>]*>).* master " + bridge + ` state (\w+)`).FindStringSubmatch(links)
			if port != nil && strings.Contains(port[1], "LOWER_UP") &&
				(port[2] != "UP" || strings.Contains(links, bridge+": <NO-CARRIER") || strings.Contains(routes, "linkdown")) {
				return errors.New("none")
			}
			return nil
		})
	}
}

// inside is what a pod's processes see of their interfaces.
func inside(t *testing.T, p *lab.Pod) string {
	t.Helper()
	lab.Eventually(t, lab.Patience, "the kernel's link watch has come to eth0", func() error {
		out, err := p.Exec("ip", "-o", "-br", "link", "show", "dev", "eth0")
		if err == nil && strings.Contains(out, "UNKNOWN") && strings.Contains(out, "LOWER_UP") {
			err = errors.New(out)
		}
		return err
	})
	var b strings.Builder
	for _, line := range []string{"ip -o -br link show", "ip -o -br addr show eth0", "ip route show", "ip -6 route show"} {
		out, err := p.Exec(strings.Fields(line)...)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(out)
	}
	return normal(b.String())
}

var (
	random = regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}|@if[0-9]+|veth[0-9a-f]{11}|fe80::[0-9a-f:]+(/64)? ?`)
	spaces = regexp.MustCompile(`[ \t]+`)
)

// normal takes out what is random.
func normal(text string) string {
	text = random.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case strings.HasPrefix(s, "veth"):
			return "VETH"
		case strings.HasPrefix(s, "@"), strings.HasPrefix(s, "fe80"):
			return ""
		}
		return "MAC"
	})
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(spaces.ReplaceAllString(line, " "))
	}
	return strings.Join(lines, "\n") + "\n"
}

var indexes = regexp.MustCompile(`(?m)^[0-9]+: |link-netnsid [0-9]+|link-netns [^ ]+`)

// sameWithoutIndexes compares states of which one was reached by making links again.
func sameWithoutIndexes(t *testing.T, what, got, want string) {
	t.Helper()
	cnihost.Same(t, what, indexes.ReplaceAllString(got, ""), indexes.ReplaceAllString(want, ""))
}
