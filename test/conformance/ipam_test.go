package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ipamCases are about IPAM plugins other than host-local, which the network plugin executes.
func ipamCases() []testCase {
	return []testCase{
		{"an IPAM plugin can use the pod's interface, as dhcp does, at ADD and at DEL", "", ipamUsesInterface},
		{"what an IPAM plugin answers and cannot be is refused, and leaves nothing", "", ipamTalksNonsense},
	}
}

// ipamPlugin makes a plugin out of what it does at ADD and returns a call of the bridge plugin with
// it; wherever it can, it notes the pod's interface in a file that is named like the verb.
func (h *host) ipamPlugin(add string) (conf object, call func(verb string, p *pod) error) {
	script := "#!/bin/sh\ncat >/dev/null\nnsenter --net=\"$CNI_NETNS\" ip -o link show dev \"$CNI_IFNAME\" >" + h.Dir + "/$CNI_COMMAND\n" +
		"[ $CNI_COMMAND != ADD ] || echo '" + add + "'\n"
	path := h.file("plugins/other", script)
	if err := os.Chmod(path, 0o755); err != nil {
		h.TB.Fatalf("%v", err)
	}
	conf = h.gateway(object{"type": "other"})
	return conf, func(verb string, p *pod) error {
		_, err := h.Execute("bridge", conf.Text(), "COMMAND="+verb, "CONTAINERID="+p.ID, "NETNS="+p.Path, "IFNAME="+p.IfName,
			"PATH="+filepath.Dir(path)+":"+h.Plugins)
		return err
	}
}

func (h *host) answer(rest string) string {
	return fmt.Sprintf(`{"cniVersion":%q,%s}`, h.version, rest)
}

func ipamUsesInterface(h *host) error {
	_, call := h.ipamPlugin(h.answer(`"ips":[{"version":"4","address":"10.7.0.5/24"}]`))
	p := h.Pod()
	for _, verb := range []string{"ADD", "DEL"} {
		if err := call(verb, p); err != nil {
			return wrap(verb, err)
		}
		link, err := os.ReadFile(filepath.Join(h.Dir, verb))
		if err != nil || !strings.Contains(string(link), "eth0") {
			return fmt.Errorf("at %s the plugin finds %q %v", verb, link, err)
		}
	}
	return nil
}

func ipamTalksNonsense(h *host) error {
	h.first(h.gateway(h.ranges(subnet4)))
	for _, answer := range []string{
		"", "mars", "[]", "null", h.answer(`"ips":[]`), h.answer(`"ips":[null]`), h.answer(`"ips":[{"version":"4"}]`),
		h.answer(`"ips":[{"version":"4","address":"10.7.0.5/24"}],"routes":[null]`), `{"cniVersion":"9.0.0"}`,
	} {
		_, call := h.ipamPlugin(answer)
		p := h.Pod()
		err := h.unchanged(fmt.Sprintf("the ADD with IPAM's answer %q", answer), func() error {
			return refused(fmt.Sprintf("ADD with IPAM's answer %q", answer), call("ADD", p), nil)
		})
		if err != nil {
			return err
		}
		if links := h.MustIn(p.Namespace, "ip -o link"); strings.Contains(links, "eth0") {
			return fmt.Errorf("after IPAM's answer %q the pod has %s", answer, links)
		}
	}
	return nil
}
