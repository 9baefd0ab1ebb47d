package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/pods"
	"github.com/podnet/podnet/state/shell"
	"github.com/spf13/cobra"
)

func (c *cli) pods() *cobra.Command {
	return &cobra.Command{
		Use:   "pods",
		Short: "List the pods of this node, and those that lack a lease, a veth or a port",
		Long: `pods joins the address leases of podnet's network with the host veths: every pod with its
addresses, container id, the name that the runtime gave it, its host veth, since when, and the
ports of the host that lead to it. It takes no lock: a pod that comes or goes at this moment may
lack something.

Exit codes: 0 listed; 2 an error.`,
		Example: `  podnetctl pods
  podnetctl pods -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.runPods() },
	}
}

func (c *cli) runPods() error {
	n, err := c.open("pods")
	if err != nil {
		return err
	}
	defer n.Close()
	t := n.Followed()
	if t == nil {
		return fmt.Errorf("which network is podnet's? %s", n.Decision.OnDisk.Message)
	}
	found, err := pods.List(n.Kernel(), t.Network.CNI.Name, t.Network.Bridge.Name)
	if err != nil {
		return err
	}
	list := document.PodList{APIVersion: schema.APIVersion, Kind: "PodList", Pods: []document.Pod{}}
	own, err := n.ID.Select(t)
	if err != nil {
		own = &schema.Node{} // the pods are there all the same
	}
	list.Node = own.Name
	published, err := hostPorts(n)
	if err != nil {
		return err
	}
	for _, p := range found {
		p.Unleased = within(own.PodCIDRs, p.Unleased)
		pod := podOf(p, t.Network.Bridge.Name)
		pod.HostPorts = published[pod.HostVeth]
		list.Pods = append(list.Pods, pod)
	}
	if c.json() {
		return c.writeJSON(list)
	}
	return screen.WritePods(c.out, c.style(), rowsOf(list.Pods, time.Now()))
}

// hostPorts are those on record, by the pod's host veth.
func hostPorts(n *node) (map[string][]string, error) {
	all, _, err := n.HostPorts.Records(n.Paths.HostPorts)
	published := map[string][]string{}
	for _, p := range all {
		published[p.Device] = strings.Split(p.Ports, ", ")
	}
	return published, err
}

// within are the addresses that are of a podCIDR: another pod may get them.
func within(podCIDRs []netip.Prefix, addrs []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(addrs, func(a netip.Addr) bool {
		return !slices.ContainsFunc(podCIDRs, func(p netip.Prefix) bool { return p.Contains(a) })
	})
}

func podOf(p pods.Pod, bridge string) document.Pod {
	out := document.Pod{ContainerID: p.Owner.ContainerID, IfName: p.Owner.IfName, Addresses: []string{},
		HostVeth: p.Veth.Device, Trouble: trouble(p, bridge)}
	if namespace, name, named := strings.Cut(p.Name, "/"); named {
		out.Namespace, out.Name = namespace, name
	}
	addrs := slices.Concat(p.Addrs, p.Unleased)
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, a := range addrs {
		out.Addresses = append(out.Addresses, a.String())
	}
	if !p.Since.IsZero() {
		since := p.Since.UTC()
		out.Since = &since
	}
	return out
}

// trouble is what a pod lacks, and what to do about it.
func trouble(p pods.Pod, bridge string) string {
	switch v := p.Veth; {
	case v.Device == "" && !p.Ours:
		return "its host veth is missing: it has ended, or cannot talk to anybody (another plugin wrote its lease: podnetctl gc says how to free it)"
	case v.Device == "":
		return "its host veth is missing: it has ended, or cannot talk to anybody (podnetctl gc frees its addresses)"
	case !p.Leased:
		return "it has no lease: another pod may get its address (delete it, and have it made anew)"
	case len(p.Unleased) > 0:
		return fmt.Sprintf("it has no lease of %s: another pod may get that address (delete the pod, and have it made anew)",
			p.Unleased[0])
	case v.Bridge == "" && v.Group == device.GroupPod:
		return fmt.Sprintf("%s is no port of %s (podnetctl apply)", v.Device, bridge)
	case v.Bridge != bridge:
		return fmt.Sprintf("%s is no port of %s (ip link set %s master %s)", v.Device, bridge, shell.Quote(v.Device), bridge)
	case !v.Up:
		return fmt.Sprintf("%s is down (ip link set %s up)", v.Device, shell.Quote(v.Device))
	}
	return ""
}

func rowsOf(pods []document.Pod, now time.Time) []screen.Pod {
	var rows []screen.Pod
	for _, p := range pods {
		r := screen.Pod{Addresses: p.Addresses, Container: short(p.ContainerID), IfName: p.IfName, HostVeth: p.HostVeth,
			HostPorts: p.HostPorts, Trouble: p.Trouble}
		if p.Name != "" {
			r.Name = p.Namespace + "/" + p.Name
		}
		if p.Since != nil {
			r.Since = screen.Age(now.Sub(*p.Since))
		}
		rows = append(rows, r)
	}
	return rows
}
