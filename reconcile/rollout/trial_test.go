package rollout

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

var (
	fileP = twoNodes
	fileT = strings.Replace(twoNodes, "192.0.2.2", "192.0.2.9", 1)
	fileF = strings.Replace(twoNodes, "192.0.2.2", "192.0.2.77", 1)
)

// nobody is a kernel without pods and without podnet's objects.
type nobody struct{}

func (nobody) Pods(string) (int, error)                 { return 0, nil }
func (nobody) Owned(...state.Kind) (*state.Live, error) { return &state.Live{}, nil }

// tree are a node's and a clock that goes when it is told to.
type tree struct {
	*testing.T
	paths  state.Paths
	source *Source
	at     Instant
}

// onTrial is a node on which fileT is on trial for a minute instead of fileP.
func onTrial(t *testing.T) *tree {
	n := newFiles(t)
	n.put(fileP)
	n.pass()
	n.try(fileT)
	n.follows("192.0.2.9", OriginTrial, "")
	return n
}

func newFiles(t *testing.T) *tree {
	n := &tree{T: t, paths: state.DefaultPaths(t.TempDir()), at: Instant{"boot-1", time.Hour}}
	n.restart()
	return n
}

// restart forgets everything that is not on disk.
func (n *tree) restart() {
	n.source = NewSource(n.paths, nobody{})
	n.source.clock = func() Instant { return n.at }
}

func (n *tree) reboot() {
	n.at = Instant{"boot-2", time.Second}
	n.restart()
}

func (n *tree) put(content string) { n.Helper(); put(n.T, n.paths.Topology, content) }

// pass is what every pass does to the files.
func (n *tree) pass() Decision {
	n.Helper()
	if _, err := n.source.Undo(false, unneeded); err != nil {
		n.Fatal(err)
	}
	v := n.source.Judge(reconcile.Identity{Node: "a"})
	if err := n.source.Keep(&v); err != nil {
		n.Fatal(err)
	}
	return v
}

// try is apply --confirm 1m.
func (n *tree) try(content string) {
	n.Helper()
	v := n.source.Judge(reconcile.Identity{Node: "a"})
	if _, err := n.source.Begin(&v, []byte(content), time.Minute); err != nil {
		n.Fatal(err)
	}
	n.put(content)
}

// follows makes a pass and checks which topology it follows, by the address of its second node.
func (n *tree) follows(want, origin, reason string) {
	n.Helper()
	v := n.pass()
	got := ""
	if v.Topology != nil {
		got = v.Topology.Nodes[1].IP.String()
	}
	if got != want || want != "" && v.Origin != origin || v.OnDisk.Reason != reason {
		n.Errorf("follows %q of %s, want %q of %s; on disk %+v, want the reason %q", got, v.Origin, want, origin, v.OnDisk, reason)
	}
	if v.Topology != nil && v.Origin == OriginFile && v.Topology.File != n.paths.Topology {
		n.Errorf("the file in place is said to be %s", v.Topology.File)
	}
}

// holds checks the file in place, the last good one, and that there is no trial.
func (n *tree) holds(file, lastGood string) {
	n.Helper()
	for path, want := range map[string]string{n.paths.Topology: file, n.paths.LastGood: lastGood} {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			data = []byte("-")
		}
		if string(data) != want {
			n.Errorf("%s holds %q, want %q", path, data, want)
		}
	}
	if _, err := os.Stat(n.paths.Pending); err == nil {
		n.Error("the trial is still there")
	}
}

func TestTrialIsUndoneInTime(t *testing.T) {
	for name, c := range map[string]func(n *tree){
		"time passes":                  func(n *tree) { n.at.Since += time.Minute },
		"much of it, and a restart":    func(n *tree) { n.at.Since += time.Hour; n.restart() },
		"a reboot, the clock far back": func(n *tree) { n.reboot() },
		"an operator":                  func(n *tree) { mustUndo(n) },
		"the record is torn":           func(n *tree) { put(n.T, n.source.TrialRecord(), `{"digest":`) },
		"the topology on trial is lost": func(n *tree) {
			put(n.T, n.source.TrialTopology(), "-")
			n.at.Since += time.Minute
		},
		"the file before is lost": func(n *tree) { put(n.T, n.source.trialPrevious(), "-"); n.at.Since += time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			n := onTrial(t)
			n.at.Since += 59 * time.Second
			n.restart()
			n.follows("192.0.2.9", OriginTrial, "")
			c(n)
			n.follows("192.0.2.2", OriginFile, "")
			n.holds(fileP, fileP)
			n.put(fileT) // pushed again by a machine
			n.follows("192.0.2.2", OriginLastGood, ReasonRolledBack)
			n.restart()
			n.follows("192.0.2.2", OriginLastGood, ReasonRolledBack)
			if err := n.source.Pardon(schema.Digest([]byte(fileT))); err != nil { // apply FILE
				t.Fatal(err)
			}
			n.follows("192.0.2.9", OriginFile, "")
		})
	}
}

// unneeded clears no node: these trials have something to go back to, or begin after another boot.
func unneeded(*schema.Topology) error { return errors.New("the node is cleared") }

func mustUndo(n *tree) {
	n.Helper()
	if u, err := n.source.Undo(true, unneeded); err != nil || u == nil {
		n.Fatal(u, err)
	}
}

func TestTrialIsConfirmed(t *testing.T) {
	n := onTrial(t)
	if err := n.source.Confirm(); err != nil {
		t.Fatal(err)
	}
	n.at.Since += time.Hour
	n.follows("192.0.2.9", OriginFile, "")
	n.reboot()
	n.follows("192.0.2.9", OriginFile, "")
	n.holds(fileT, fileT)
}

// A trial that is over is not followed, whatever of its end cannot be written, and ends when it
// can.
func TestTrialEndsUnwritten(t *testing.T) {
	for name, c := range map[string]struct {
		blocked        func(*tree) string
		origin, reason string
	}{
		"the list of what was rolled back": {func(n *tree) string { return n.paths.RolledBack }, OriginFile, ""},
		"the file": {func(n *tree) string {
			return filepath.Join(filepath.Dir(n.paths.Topology), ".topology.yaml.new")
		}, OriginLastGood, ReasonRolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			n := onTrial(t)
			blocked := c.blocked(n)
			if err := os.Mkdir(blocked, 0o755); err != nil {
				t.Fatal(err)
			}
			n.at.Since += time.Minute
			for range 2 {
				u, err := n.source.Undo(false, unneeded)
				if u == nil || err == nil || !strings.Contains(err.Error(), blocked) {
					t.Fatalf("%+v, %v; want an error that names %s", u, err, blocked)
				}
				v := n.source.Judge(reconcile.Identity{Node: "a"})
				if v.Topology.Nodes[1].IP.String() != "192.0.2.2" || v.Origin != c.origin || v.OnDisk.Reason != c.reason || v.Trial != nil || v.Overdue == nil {
					t.Errorf("%+v", v)
				}
				if err := n.source.Keep(&v); err != nil {
					t.Error(err)
				}
				n.restart()
			}
			if err := os.WriteFile(n.paths.Topology, []byte(fileT), 0o644); err != nil {
				t.Fatal(err)
			}
			if v := n.source.Judge(reconcile.Identity{Node: "a"}); v.OnDisk.Reason != ReasonRolledBack || v.Origin != OriginLastGood {
				t.Errorf("pushed again: %+v", v)
			}
			if err := os.Remove(blocked); err != nil {
				t.Fatal(err)
			}
			n.follows("192.0.2.2", OriginFile, "")
			n.holds(fileP, fileP)
			n.put(fileT)
			n.follows("192.0.2.2", OriginLastGood, ReasonRolledBack)
		})
	}
	t.Run("an operator, in time: nothing changes", func(t *testing.T) {
		n := onTrial(t)
		if err := os.Mkdir(n.paths.RolledBack, 0o755); err != nil {
			t.Fatal(err)
		}
		if u, err := n.source.Undo(true, unneeded); u != nil || err == nil {
			t.Errorf("%+v, %v", u, err)
		}
		n.follows("192.0.2.9", OriginTrial, "")
	})
}

// Going back to what is kept already writes nothing: there may be no room.
func TestKeepWithoutRoom(t *testing.T) {
	n := onTrial(t)
	if err := os.Mkdir(filepath.Join(filepath.Dir(n.paths.LastGood), ".last-good.yaml.new"), 0o755); err != nil {
		t.Fatal(err)
	}
	n.put(fileP)
	n.follows("192.0.2.2", OriginFile, "")
	n.holds(fileP, fileP)
}

// Whatever happens to the file during a trial, the trial ends with what was there before or with
// what somebody has put there meanwhile.
func TestFileChangesDuringTrial(t *testing.T) {
	t.Run("another good one ends the trial", func(t *testing.T) {
		n := onTrial(t)
		n.put(fileF)
		n.follows("192.0.2.77", OriginFile, "")
		n.holds(fileF, fileF)
		n.at.Since += time.Hour
		n.follows("192.0.2.77", OriginFile, "")
	})
	t.Run("the one before ends the trial", func(t *testing.T) {
		n := onTrial(t)
		n.put(fileP)
		n.follows("192.0.2.2", OriginFile, "")
		n.holds(fileP, fileP)
		n.put(fileT) // it was not rolled back
		n.follows("192.0.2.9", OriginFile, "")
	})
	for name, file := range map[string]string{"torn": fileF[:100], "-": "-"} {
		reason := map[bool]string{true: ReasonMissing, false: ReasonInvalid}[file == "-"]
		t.Run("a bad one does not: "+name, func(t *testing.T) {
			n := onTrial(t)
			n.put(file)
			n.follows("192.0.2.9", OriginTrial, reason)
			n.restart()
			n.follows("192.0.2.9", OriginTrial, reason)
			n.at.Since += time.Minute
			n.follows("192.0.2.2", OriginLastGood, reason)
			n.holds(file, fileP)
		})
		t.Run("a bad one, and confirmed: "+name, func(t *testing.T) {
			n := onTrial(t)
			n.put(file)
			if err := n.source.Confirm(); err != nil {
				t.Fatal(err)
			}
			n.follows("192.0.2.9", OriginLastGood, reason)
			n.holds(file, fileT)
		})
	}
}

// What is undone is what was there, be it good, bad, or nothing.
func TestTrialAfter(t *testing.T) {
	t.Run("a refused file", func(t *testing.T) {
		n := newFiles(t)
		n.put(fileP)
		n.pass()
		n.put(fileF[:100])
		n.try(fileT)
		n.follows("192.0.2.9", OriginTrial, "")
		mustUndo(n)
		n.follows("192.0.2.2", OriginLastGood, ReasonInvalid)
		n.holds(fileF[:100], fileP)
	})
	t.Run("a file in place that was never in force", func(t *testing.T) {
		n := newFiles(t)
		n.put(fileP)
		n.try(fileT)
		mustUndo(n)
		n.follows("192.0.2.2", OriginFile, "")
		n.holds(fileP, fileP)
	})
	t.Run("no file", func(t *testing.T) {
		n := newFiles(t)
		n.put(fileP)
		n.pass()
		n.put("-")
		n.try(fileT)
		mustUndo(n)
		n.follows("192.0.2.2", OriginLastGood, ReasonMissing)
		n.holds("-", fileP)
	})
	t.Run("the file is in place already", func(t *testing.T) {
		n := newFiles(t)
		n.put(fileP)
		n.pass()
		n.put(fileT)
		v := n.source.Judge(reconcile.Identity{Node: "a"})
		if _, err := n.source.Begin(&v, []byte(fileT), time.Minute); err != nil {
			t.Fatal(err)
		}
		n.follows("192.0.2.9", OriginTrial, "")
		mustUndo(n)
		n.follows("192.0.2.2", OriginFile, "")
		n.holds(fileP, fileP)
	})
}

// What pods get under another name of the network would be given out again under the one that comes
// back.
func TestTrialOfAnotherNetworkName(t *testing.T) {
	n := newFiles(t)
	n.put(fileP)
	n.pass()
	v := n.source.Judge(reconcile.Identity{Node: "a"})
	renamed := strings.Replace(fileT, "\nnodes:", "\nnetwork: {cni: {name: other}}\nnodes:", 1)
	_, err := n.source.Begin(&v, []byte(renamed), time.Minute)
	if refused := new(Refused); !errors.As(err, &refused) || !strings.Contains(refused.Guard.Message, "from podnet to other") {
		t.Errorf("error %v", err)
	}
	n.holds(fileP, fileP)
	n.put("-")
	put(t, n.paths.LastGood, "-")
	v = n.source.Judge(reconcile.Identity{Node: "a"})
	if _, err := n.source.Begin(&v, []byte(renamed), time.Minute); err != nil { // nothing comes back
		t.Error(err)
	}
}

// A process that dies between two writes leaves a state from which the next one comes to the old
// topology or the new one.
func TestTrialInterrupted(t *testing.T) {
	t.Run("before the file is in place", func(t *testing.T) {
		n := newFiles(t)
		n.put(fileP)
		n.pass()
		v := n.source.Judge(reconcile.Identity{Node: "a"})
		if _, err := n.source.Begin(&v, []byte(fileT), time.Minute); err != nil {
			t.Fatal(err)
		}
		n.restart()
		n.follows("192.0.2.2", OriginFile, "")
	})
	t.Run("before the record", func(t *testing.T) {
		n := onTrial(t)
		n.put(fileP)
		put(t, n.source.TrialRecord(), "-")
		n.restart()
		n.follows("192.0.2.2", OriginFile, "")
		n.try(fileT)
		n.follows("192.0.2.9", OriginTrial, "")
	})
	t.Run("confirm, before the trial is gone", func(t *testing.T) {
		n := onTrial(t)
		put(t, n.paths.LastGood, fileT)
		n.at.Since += time.Hour
		n.restart()
		n.follows("192.0.2.9", OriginFile, "")
		n.holds(fileT, fileT)
	})
	t.Run("rollback, before the file is back", func(t *testing.T) {
		n := onTrial(t)
		if err := n.source.deny(schema.Digest([]byte(fileT))); err != nil {
			t.Fatal(err)
		}
		n.restart()
		n.follows("192.0.2.2", OriginFile, "")
		n.holds(fileP, fileP)
	})
	t.Run("rollback, before the trial is gone", func(t *testing.T) {
		n := onTrial(t)
		if err := n.source.deny(schema.Digest([]byte(fileT))); err != nil {
			t.Fatal(err)
		}
		n.put(fileP)
		n.restart()
		n.follows("192.0.2.2", OriginFile, "")
		n.holds(fileP, fileP)
	})
}

// The memory of what was rolled back does not grow for ever.
func TestCondemned(t *testing.T) {
	n := newFiles(t)
	for i := range mostCondemned + 5 {
		if err := n.source.deny(schema.Digest([]byte{byte(i)})); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(n.source.denied()); got != mostCondemned || n.source.rolledBack(schema.Digest([]byte{0})) != nil ||
		n.source.rolledBack(schema.Digest([]byte{mostCondemned})) == nil {
		t.Errorf("%d digests", got)
	}
}

func (nobody) Barrier(string, string, *schema.Node) (what, remedy string, err error) {
	return "", "", nil
}
