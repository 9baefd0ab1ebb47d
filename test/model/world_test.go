package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/test/lab"
)

// world is a node in a namespace of its own, the topology that its operator wants, and the engine
// that follows it.
type world struct {
	*testing.T
	*lab.Namespace
	dice  *rand.Rand
	paths state.Paths

	wanted  plan  // what the file on disk says
	inForce *plan // the last file that is followed; nil: none yet
	trial   *trial
	undone  []plan // that were rolled back
	engine  *agent.Engine
	source  *rollout.Source
	daemon  *lab.Node // with a real podnetd instead of the engine; nil: none
	history []string  // for the reader of a failure
}

const self = "node-0"

// newWorld makes the node, with others' objects on it. The calling thread has to be in ns.
func newWorld(t *testing.T, ns *lab.Namespace, dice *rand.Rand) (*world, error) {
	w := &world{T: t, Namespace: ns, dice: dice, paths: state.DefaultPaths(filepath.Join("/run/tmp", ns.Name))}
	if err := os.MkdirAll(filepath.Dir(w.paths.Topology), 0o755); err != nil {
		return nil, err
	}
	if _, err := w.tool(strings.Join([]string{
		"link set lo up",
		"link add eth0 type veth peer name switch0",
		"link set eth0 addrgenmode none up", "link set switch0 addrgenmode none up",
		"addr add 192.0.2.1/24 dev eth0",
		"link add other0 group 77 type bridge", "link set other0 addrgenmode none up",
		"addr add 100.99.0.1/24 dev other0",
		"neigh add 100.99.0.7 lladdr 02:00:00:00:99:07 dev other0 nud permanent",
		"route add 100.99.1.0/24 via 192.0.2.9 proto 73",
	}, "\n"), "ip", "-batch", "-"); err != nil {
		return nil, err
	}
	_, err := w.tool("*filter\n:OTHERS - [0:0]\n-A FORWARD -s 100.99.0.0/24 -j OTHERS\nCOMMIT\n", "iptables-restore", "--noflush")
	return w, err
}

// tool runs a program on the node, whose thread this is.
func (w *world) tool(input string, args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(input)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return string(out), err
}

// start is a process that starts: nothing is known to it but what the files and the kernel hold.
func (w *world) start() error {
	w.stop()
	var err error
	if w.engine, err = agent.Open(agent.Settings{Paths: w.paths, Node: self}); err == nil {
		w.source = rollout.NewSource(w.paths, w.engine.Kernel())
	}
	return err
}

func (w *world) stop() {
	if w.engine != nil {
		w.engine.Close()
		w.engine = nil
	}
}

// view is what a pass begins with: the topology to follow, kept as the last good one.
func (w *world) view() (reconcile.View, error) {
	id, err := w.engine.Identity()
	if err != nil {
		return reconcile.View{}, err
	}
	undone, err := w.engine.Undo(w.source, false)
	if err != nil {
		return reconcile.View{}, err
	}
	if over := w.trial != nil && w.trial.over; over != (undone != nil) {
		return reconcile.View{}, fmt.Errorf("the trial was undone: %v, want %v", undone != nil, over)
	} else if over {
		w.rolledBack()
	}
	v := w.source.Judge(id)
	if v.Topology == nil {
		return reconcile.View{}, fmt.Errorf("no topology: %s", v.OnDisk.Message)
	}
	if want := w.follows(); v.OnDisk.Accepted != want {
		return reconcile.View{}, fmt.Errorf("the file on disk is accepted: %v, want %v: %s", v.OnDisk.Accepted, want, v.OnDisk.Message)
	}
	view, err := w.engine.View(id, v.Topology, undone.Before(&v))
	if err == nil {
		err = w.source.Keep(&v)
	}
	if err == nil && v.OnDisk.Accepted {
		w.followed()
	}
	return view, err
}

// pass converges, which has to succeed, and compares the kernel with the model.
func (w *world) pass() error {
	if w.daemon != nil {
		return w.awaitDaemon()
	}
	view, err := w.view()
	if err != nil {
		return err
	}
	if _, err := w.engine.Converge(view); err != nil {
		return fmt.Errorf("pass: %w", err)
	}
	return w.compare()
}

// spoiled is a pass in which the applier fails some changes or ends in the middle.
func (w *world) spoiled(apply func(*kernel.Node) reconcile.Applier) error {
	view, err := w.view()
	if err != nil {
		return err
	}
	plan, err := w.engine.Look(view)
	if err == nil {
		_ = plan.Apply(apply(w.engine.Kernel()), nil) // that it fails is the point
	}
	return err
}

// compare is the judgement: what the kernel holds against what the model says.
func (w *world) compare() error {
	have, err := w.holds()
	if err != nil {
		return err
	}
	want := w.inForce.expect(w.paths)
	if w.daemon != nil { // whose lab looks after others' objects by itself
		have, want = slices.DeleteFunc(have, foreign), slices.DeleteFunc(want, foreign)
	}
	var faults []string
	for _, line := range want {
		if !slices.Contains(have, line) {
			faults = append(faults, "missing: "+line)
		}
	}
	for _, line := range have {
		if !slices.Contains(want, line) {
			faults = append(faults, "too much: "+line)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	return nil
}

func foreign(line string) bool {
	return slices.ContainsFunc([]string{"other", "OTHERS", "100.99.", "2001:db8:99"}, func(mark string) bool { return strings.Contains(line, mark) })
}

// holds is everything that podnet may have put anywhere, and the foreign objects, in the words of
// expect.
func (w *world) holds() ([]string, error) {
	var lines []string
	tunnel := w.inForce.tunnel()
	out, err := w.tool("link show group 7200\naddr show group 7200\nneigh show nud permanent\nroute show table all proto 72\n"+
		"link show group 77\naddr show group 77\nroute show table all proto 73\n",
		"ip", "-d", "-N", "-j", "-batch", "-")
	if err != nil {
		return nil, err
	}
	six, err := w.tool("route show table all proto 72\n", "ip", "-6", "-d", "-N", "-j", "-batch", "-")
	if err != nil {
		return nil, err
	}
	fdb, err := w.tool("", "bridge", "-j", "fdb", "show", "dev", tunnel)
	if err != nil {
		return nil, err
	}
	for _, text := range []string{out, six, fdb} {
		for decoder := json.NewDecoder(strings.NewReader(text)); decoder.More(); {
			var objects []object
			if err := decoder.Decode(&objects); err != nil {
				return nil, fmt.Errorf("%w in %s", err, text)
			}
			for _, o := range objects {
				lines = append(lines, o.lines(tunnel)...)
			}
		}
	}
	for _, save := range []string{"iptables-save", "ip6tables-save"} {
		rules, err := w.tool("", save)
		if err != nil {
			return nil, err
		}
		table := ""
		for line := range strings.Lines(rules) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "*") {
				table = line[1:]
			} else if strings.HasPrefix(line, "-A") || strings.HasPrefix(line, ":PODNET-") || strings.HasPrefix(line, ":OTHERS") {
				line, _, _ = strings.Cut(line, " [")
				lines = append(lines, save+" "+table+" "+line)
			}
		}
	}
	for _, path := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		value, err := os.ReadFile("/proc/sys/" + path)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(string(value)) == "1" {
			lines = append(lines, path)
		}
	}
	return append(lines, w.files()...), nil
}

// files are the conflist, as far as a runtime sees whether a node is ready, and files that do not
// belong there.
func (w *world) files() []string {
	var lines []string
	entries, err := os.ReadDir(filepath.Dir(w.paths.Conflist))
	if err != nil {
		return nil // it is not there yet
	}
	for _, e := range entries {
		line := "file " + e.Name()
		var list struct {
			Plugins []struct {
				Type, Bridge string
				MTU          int
			}
		}
		if data, err := os.ReadFile(filepath.Join(filepath.Dir(w.paths.Conflist), e.Name())); err == nil && json.Unmarshal(data, &list) == nil && len(list.Plugins) == 2 {
			line += fmt.Sprintf(" bridge %s mtu %d then %s", list.Plugins[0].Bridge, list.Plugins[0].MTU, list.Plugins[1].Type)
		}
		lines = append(lines, line)
	}
	return lines
}

func (w *world) note(format string, args ...any) {
	w.history = append(w.history, fmt.Sprintf(format, args...))
}
