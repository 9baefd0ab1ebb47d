package screen

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// Status is what status shows.
type Status struct {
	*document.NodeStatus
	Now      time.Time
	Answer   []string // why the answer is no, the gravest first; nothing: it is yes
	NoDaemon string   // that none runs, and since when; "": one does
	Pods     int      // below 0: nobody knows
	Facts    state.Facts
	Tunnel   schema.VXLAN
	Network  string // the name in the conflist

	TopologyPath  string // where the operator writes
	ConflistPath  string
	FirstConflist string // the name of the one that a runtime takes; "": there is none
	Plugins       Plugins
	Runtimes      []string // what keeps runtimes from the conflist
	InForceNodes  int
	OnDiskNodes   int // of a refused file
	OnDiskWritten time.Time
}

// Plugins are those that podnet's conflist needs, in the runtime's directory.
type Plugins struct {
	Unknown  bool     // nobody knows where runtimes look
	Missing  []string // names
	Where    string   // the directories that lack them
	Locked   []string // paths of those that nobody may execute
	Foreign  []string // names of those of another make
	Versions []string // of podnet's, each once
}

// WriteStatus writes the screen of status.
func WriteStatus(w io.Writer, style Style, s Status) error {
	v := &statusView{s, newPage(w, style)}
	v.headline()
	v.page.blank()
	if v.Topology.OnDisk.Reason != "" && v.Topology.Digest != "" {
		v.stale()
		v.page.blank()
	}
	v.page.rows(v.details())
	return v.page.close()
}

type statusView struct {
	Status
	page *page
}

func (v *statusView) headline() {
	node := v.Node
	if node == "" {
		node = "this node"
	}
	verdict, why := span{"IN SYNC", green}, plural(v.Peers, "peer")
	if len(v.Answer) > 0 {
		verdict, why = span{"NOT IN SYNC", alarm}, v.Answer[0]
		if v.settled() {
			verdict.text = "NOT OK"
		}
	}
	head := node + "   "
	column := len(head) + len(verdict.text) + 3
	for i, line := range v.page.wrap(why, column) {
		if i == 0 {
			v.page.line("", span{head, bold}, verdict, text("   %s", line))
			continue
		}
		v.page.line("", text("%*s%s", column, "", line))
	}
}

// settled: the network is as it should be, and something else is not.
func (v *statusView) settled() bool {
	return v.InSync && v.Topology.OnDisk.Accepted && v.Topology.Digest == v.Topology.OnDisk.Digest
}

// stale is about a file on disk that is not in force.
func (v *statusView) stale() {
	disk, c := v.Topology.OnDisk, v.Condition(document.StaleTopology)
	since := fmt.Sprintf("since %s, %s ago", Clock(c.LastTransitionTime, v.Now), Age(v.Now.Sub(c.LastTransitionTime)))
	v.page.line("", span{"StaleTopology", bold}, text("  "), span{disk.Reason, alarm}, text("  %s", since))
	facts := []Row{{Label: "in force",
		Text: fmt.Sprintf("%s  %s    %s", ShortDigest(v.Topology.Digest), v.Topology.Path, plural(v.InForceNodes, "node"))}}
	if disk.Digest != "" {
		facts = append([]Row{{Label: "on disk", Text: fmt.Sprintf("%s  %-*s    %s, written %s", ShortDigest(disk.Digest),
			len(v.Topology.Path), v.TopologyPath, plural(v.OnDiskNodes, "node"), Clock(v.OnDiskWritten, v.Now))}}, facts...)
	}
	facts = append(facts, v.refusal()...)
	for _, r := range facts {
		v.page.indented(r)
	}
}

// refusal says why, and how to go on.
func (v *statusView) refusal() []Row {
	disk := v.Topology.OnDisk
	if g := disk.Guard; g != nil && !g.Passes {
		rows := []Row{{Label: "refused", Text: g.Numbers}}
		if g.Cause != "" {
			rows = append(rows, Row{Text: g.Cause})
		}
		return append(rows, Row{Label: "to go on", Text: g.WaysOn})
	}
	return []Row{{Label: v.trouble(), Text: disk.Message}, {Label: "to go on", Text: v.goOn()}}
}

func (v *statusView) trouble() string {
	if v.Topology.OnDisk.Reason == rollout.ReasonMissing {
		return "missing"
	}
	return "refused"
}

func (v *statusView) goOn() string {
	switch v.Topology.OnDisk.Reason {
	case rollout.ReasonInvalid:
		return "push the right file (nothing else to do); every fault:  podnetctl validate " + v.TopologyPath
	case rollout.ReasonUnsure:
		return "correct the host name, the address or the entry, or say which it is: PODNET_NODE in /etc/default/podnetd"
	}
	return "push the right file (nothing else to do)"
}

// indented writes a row of a paragraph.
func (p *page) indented(r Row) {
	const indent, column = 2, 12
	label := r.Label
	for _, line := range p.wrap(r.Text, column) {
		p.line("", text("%*s", indent, ""), span{fmt.Sprintf("%-*s", column-indent, label), plain}, text("%s", line))
		label = ""
	}
}

func (v *statusView) details() []Row {
	rows := []Row{{Label: "Topology", Text: v.topology()}, v.daemon()}
	if v.IP != "" {
		rows = append(rows, Row{Label: "Underlay", Text: v.underlay()}, Row{Label: "Pods", Text: v.pods()})
	}
	rows = append(rows, v.cni()...)
	rows = append(rows, Row{Label: "Healed", Text: v.healed()})
	said := []string{document.Ready, document.StaleTopology, document.ConfirmPending} // by what is above, or among the answers
	for _, c := range v.Conditions {
		if c.Status == "True" && !slices.Contains(said, c.Type) && !slices.Contains(v.Answer, c.Message) {
			rows = append(rows, Row{Label: c.Type, Text: c.Message, Bad: true})
		}
	}
	for i, why := range v.Answer {
		if i > 0 {
			rows = append(rows, Row{Label: "Also", Text: why, Bad: true})
		}
	}
	return rows
}

func (v *statusView) topology() string {
	t := v.Topology
	if t.Digest == "" {
		return "none in force"
	}
	said := ShortDigest(t.Digest) + "  " + t.Path
	if t.OnDisk.Accepted && t.OnDisk.Digest == t.Digest {
		said += ", same on disk"
	}
	return said + fmt.Sprintf(", loaded %s ago", Age(v.Now.Sub(t.LoadedAt)))
}

func (v *statusView) daemon() Row {
	switch {
	case v.NoDaemon != "":
		return Row{Label: "Daemon", Text: v.NoDaemon, Bad: true}
	case v.Daemon == nil:
		return Row{Label: "Daemon", Text: "runs, and has not finished a pass yet", Bad: true}
	}
	p := v.LastPass
	return Row{Label: "Daemon",
		Text: fmt.Sprintf("podnetd %s  pid %d  up %s  last pass %s ago, %s, %s", v.Version, v.Daemon.PID,
			Age(v.Now.Sub(v.Daemon.StartedAt)), Age(v.Now.Sub(p.At)), Milliseconds(p.DurationSeconds), v.did())}
}

// did is what the last pass has done. One that could not look has not found that there is nothing
// to do.
func (v *statusView) did() string {
	p := v.LastPass
	if v.Condition(document.Degraded).Reason == document.ReasonPassFailed && p.Created+p.Updated+p.Deleted+p.Failed == 0 {
		return "which failed"
	}
	return did(p)
}

func (v *statusView) underlay() string {
	if v.Facts.Underlay == "" {
		return v.IP + " is on no link of this host"
	}
	return fmt.Sprintf("%s dev %s mtu %d   %s vni %d port %d mtu %d", v.IP, v.Facts.Underlay, v.Facts.UnderlayMTU,
		v.Tunnel.Name, v.Tunnel.VNI, v.Tunnel.Port, v.MTU)
}

func (v *statusView) pods() string {
	if v.Pods < 0 {
		return "unknown"
	}
	said := fmt.Sprintf("%d running", v.Pods)
	if len(v.PodCIDRs) == 0 {
		return said + ", no podCIDR yet"
	}
	for _, cidr := range v.PodCIDRs {
		family := "ipv4"
		if strings.Contains(cidr, ":") {
			family = "ipv6"
		}
		const endless = 1 << 32 // of which the total says nothing
		switch a, counted := v.Addresses[family]; {
		case counted && a.Total < endless:
			said += fmt.Sprintf(", %d of %d addresses in %s", a.Used, a.Total, cidr)
		case counted:
			said += fmt.Sprintf(", %d in %s", a.Used, cidr)
		}
	}
	return said
}

func (v *statusView) cni() []Row {
	name, dir := filepath.Base(v.ConflistPath), filepath.Dir(v.ConflistPath)
	conflist := Row{Label: "CNI", Text: fmt.Sprintf("%s is the first in %s", name, dir)}
	switch {
	case v.FirstConflist == "":
		conflist.Text, conflist.Bad = fmt.Sprintf("no configuration in %s: no pod can start", dir), true
	case v.FirstConflist != name:
		conflist.Text, conflist.Bad = fmt.Sprintf("%s comes before %s in %s: the runtime takes that", v.FirstConflist, name,
			dir), true
	}
	plugins, bad := v.plugins()
	conflist.Text += "; " + plugins
	conflist.Bad = conflist.Bad || bad
	rows := []Row{conflist}
	for _, why := range v.Runtimes {
		rows = append(rows, Row{Label: "Runtime", Text: why, Bad: true})
	}
	return rows
}

// plugins says first what keeps pods from starting.
func (v *statusView) plugins() (said string, bad bool) {
	p := v.Plugins
	switch {
	case p.Unknown:
		return "where the runtime looks for plugins is not known", true
	case len(p.Missing) > 0:
		return fmt.Sprintf("plugins missing: %s (podnetctl install); looked in %s", strings.Join(p.Missing, ", "),
			p.Where), true
	case len(p.Locked) > 0:
		return "plugins that cannot be executed: chmod a+x " + strings.Join(p.Locked, " "), true
	case len(p.Foreign) > 0:
		return "plugins of another make: " + strings.Join(p.Foreign, ", "), false
	case len(p.Versions) == 0:
		return "plugins podnet's", false
	case len(p.Versions) > 1:
		return fmt.Sprintf("plugins of several versions: podnet %s (podnetctl install)",
			strings.Join(p.Versions, ", ")), false
	}
	return "plugins podnet " + p.Versions[0], false
}

func (v *statusView) healed() string {
	if len(v.LastHealed) == 0 {
		return "nothing"
	}
	recent := 0
	for _, h := range v.LastHealed {
		if v.Now.Sub(h.At) < 24*time.Hour {
			recent++
		}
	}
	last := v.LastHealed[0]
	said := fmt.Sprintf("%d in 24h; last %s %s %s", recent, Clock(last.At, v.Now), last.Kind, last.Name)
	const kept = 20
	if recent == kept {
		return "at least " + said
	}
	return said
}
