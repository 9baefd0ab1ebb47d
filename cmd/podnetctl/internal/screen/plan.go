package screen

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// Plan is what diff and apply show.
type Plan struct {
	*reconcile.Plan
	InForce  File   // the zero File: nothing is in force yet
	Proposed File   // the zero File: that in force
	Daemon   string // what is wrong with the daemon; "": it runs, or nothing has to be healed
	Pods     int    // local pods; below 0: nobody knows
	Full     bool   // every object, however many
	Applied  bool   // the plan has been carried out, or as much of it as could be
	Closing  Closing
}

// File is a topology as a person tells it from another.
type File struct {
	Path   string
	Digest string
	Note   string // behind the path: for 12d
}

// Closing is the last line: what to do next, or what has come of it.
type Closing struct {
	Label, Text string
	Bad         bool
}

// planView is one rendering of a plan.
type planView struct {
	*reconcile.Plan
	given Plan
	page  *page
	peers []*reconcile.PeerChange
	drift []*reconcile.Step
}

// WritePlan writes the screen of a plan.
func WritePlan(w io.Writer, style Style, plan Plan) error {
	v := &planView{Plan: plan.Plan, given: plan, page: newPage(w, style), peers: plan.PeerChanges()}
	made := map[state.Key]bool{} // links whose going up is a part of it
	for _, s := range v.Steps {
		if s.Kind == state.KindLink && (s.Op == state.Create || s.Replace != "") {
			made[s.Key()] = true
		}
		if s.Cause == reconcile.CauseDrift && !(s.Kind == state.KindLinkUp && s.Op == state.Create && made[s.Want.Parent()]) {
			v.drift = append(v.drift, s)
		}
	}
	v.header()
	v.changes()
	v.drifted()
	v.conflicts()
	v.failures()
	v.summary()
	return v.page.close()
}

func (v *planView) header() {
	if v.Node.IP.IsValid() {
		v.page.row("Node", "%s  %s  %s", v.Node.Name, v.Node.IP, podCIDRs(v.Node, 0))
	} else {
		v.page.row("Node", "%s", v.Node.Name)
	}
	was, is := "In force", "Proposed"
	if v.given.Applied && v.given.Proposed != (File{}) {
		was, is = "Before", "In force"
	}
	v.file(was, v.given.InForce)
	if v.given.Proposed != (File{}) {
		v.file(is, v.given.Proposed)
	}
	if v.given.Daemon != "" {
		v.page.row("Daemon", "%s", v.given.Daemon)
	}
	if !v.idle() {
		v.page.blank()
	}
}

// idle: there is nothing to list.
func (v *planView) idle() bool { return len(v.Steps)+len(v.Conflicts)+len(v.Errors()) == 0 }

func (v *planView) file(label string, f File) {
	if f == (File{}) {
		v.page.row(label, "nothing yet")
		return
	}
	if f.Note != "" {
		f.Path += ", " + f.Note
	}
	v.page.row(label, "%s  %s", ShortDigest(f.Digest), f.Path)
}

// changes are what the file asks for: the node's own part first.
func (v *planView) changes() {
	fields, rest := v.FieldChanges()
	for _, f := range fields {
		v.field(f)
	}
	v.own(rest)
	v.showPeers(groupPeers(v.peers, v.given.Full))
}

func (v *planView) field(f *reconcile.FieldChange) {
	v.page.line(reconcile.Place(v.Topology, f.Line), span{"~", yellow}, text(" %s  %s -> %s", f.Field, f.Before, f.After))
	v.page.objects(nested, collapse(f.Steps, v.ownObject, v.given.Full))
}

// own are the node's own objects that no field outside its entry explains.
func (v *planView) own(steps []*reconcile.Step) {
	if len(steps) == 0 {
		return
	}
	op, said := steps[0].Op, plural(len(steps), "object")
	for _, s := range steps {
		if s.Op != op {
			op = state.Update
		}
	}
	if before := v.entryBefore(); before != nil {
		if d := reconcile.NodeDifference(before, v.Node); d != "" {
			said = d
		}
	}
	mark := opMark(op)
	v.page.line(reconcile.Place(v.Topology, v.Node.Line), span{string(mark), markHue(mark)},
		text(" node %s  %s", v.Node.Name, said))
	v.page.objects(nested, collapse(steps, v.ownObject, v.given.Full))
}

func (v *planView) entryBefore() *schema.Node {
	if v.InForce == nil {
		return nil
	}
	return v.InForce.Node(v.Node.Name)
}

// ownObject says of a changed MTU who gets it.
func (v *planView) ownObject(s *reconcile.Step) object {
	o := stepObject(s)
	if s.Kind == state.KindConflist && s.Op == state.Update && strings.HasPrefix(o.detail, "mtu ") {
		o.detail += "   new pods only"
		if v.given.Pods > 0 {
			o.detail += "; " + v.pods() + " keep " + strings.Fields(o.detail)[1]
		}
	}
	return o
}

func (v *planView) pods() string {
	if v.given.Pods < 0 {
		return "pods"
	}
	return plural(v.given.Pods, "pod")
}

func (v *planView) drifted() {
	if len(v.drift) == 0 {
		return
	}
	v.page.line("", span{fmt.Sprintf("Drift, %s", plural(len(v.drift), "object")), bold})
	v.page.objects(flat, collapse(v.drift, func(s *reconcile.Step) object {
		o := stepObject(s)
		entry, t := v.Peer(s)
		if entry == nil {
			entry, t = v.Node, v.Topology
		} else if s.Op == state.Update {
			o.detail = entry.Name + ": " + o.detail
		}
		if s.Op != state.Delete {
			o.place = reconcile.Place(t, entry.Line)
		}
		return o
	}, v.given.Full))
}

func (v *planView) conflicts() {
	if len(v.Conflicts) == 0 {
		return
	}
	v.page.line("", span{"Conflict, left alone", bold})
	var all []object
	for _, c := range v.Conflicts {
		owner := c.Owner
		if peer := v.Concerned(c); peer != nil {
			owner += "; concerns " + peer.Name
		}
		all = append(all, object{mark: '!', kind: c.Key.Kind.String(), name: c.Object(), detail: owner})
		if c.Remedy != "" {
			all = append(all, object{detail: "           " + remedy(c.Remedy)})
		}
	}
	v.page.objects(flat, all)
}

// remedy says of a command what it does.
func remedy(command string) string {
	switch {
	case !strings.HasPrefix(command, "ip") || strings.Contains(command, " && "):
		return "remedy:  " + command
	case strings.Contains(command, " del ") || strings.Contains(command, " -D "):
		return "remove it:  " + command
	case strings.Contains(command, " group "):
		return "hand it to podnet:  " + command
	}
	return "remedy:  " + command
}

// failures are what went wrong, with every error in full.
func (v *planView) failures() {
	var failed []object
	for _, s := range v.Steps {
		if s.Result == reconcile.Failed {
			failed = append(failed, object{mark: '!', kind: s.Kind.String(), name: s.Object().Name(), detail: fmt.Sprint(s.Err)})
		}
	}
	if len(failed) > 0 {
		v.page.line("", span{fmt.Sprintf("Failed, %s", plural(len(failed), "object")), bold})
		v.page.objects(flat, failed)
	}
	for _, err := range v.Errors() {
		v.page.labelled(span{"UNKNOWN", alarm}, plain, "%s", err)
	}
}

// Since is a file's note: how long it has been in force.
func Since(d time.Duration) string { return "for " + Age(d) }
