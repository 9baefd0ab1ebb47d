package faults

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// network is what a kill is tried on: plugins in the order of their ADD, the last of which is the
// victim.
type network struct {
	name  string
	chain func(*cnihost.Host) []cnihost.Object
	fresh bool // nobody made the bridge before, and no neighbour is there
}

func networks() []network {
	one := func(fields cnihost.Object) func(*cnihost.Host) []cnihost.Object {
		return func(h *cnihost.Host) []cnihost.Object { return []cnihost.Object{bridged(h, fields)} }
	}
	all := []network{
		{name: "bridge, host-local", chain: one(nil)},
		{name: "bridge, host-local, the first pod", chain: one(nil), fresh: true},
		{name: "host-local", chain: func(h *cnihost.Host) []cnihost.Object { return []cnihost.Object{local(h)} }},
	}
	for _, backend := range []string{"nftables", "iptables"} {
		all = append(all,
			network{name: "bridge, ipMasq " + backend, chain: one(cnihost.Object{"ipMasq": true, "ipMasqBackend": backend})},
			network{name: "portmap " + backend, chain: func(h *cnihost.Host) []cnihost.Object { return mapped(h, backend) }},
		)
	}
	return append(all, network{name: "bridge, macspoofchk", chain: one(cnihost.Object{"macspoofchk": true})})
}

func mapped(h *cnihost.Host, backend string) []cnihost.Object {
	return []cnihost.Object{bridged(h, nil), {
		"cniVersion": "1.1.0", "name": "net", "type": "portmap", "capabilities": cnihost.Object{"portMappings": true},
		"snat": true, "backend": backend,
		"runtimeConfig": cnihost.Object{"portMappings": []cnihost.Object{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}}},
	}}
}

// site is a host with a network on it.
type site struct {
	*cnihost.Host
	chain     []cnihost.Object
	neighbour *cnihost.Pod // nil on a fresh host
	before    string       // traces
}

func newSite(t *testing.T, n network) *site {
	t.Helper()
	h := newHost(t)
	s := &site{Host: h, chain: n.chain(h)}
	if !n.fresh {
		s.neighbour = h.Pod()
		for _, conf := range s.chain {
			if conf["type"] != "portmap" {
				h.MustAdd(s.neighbour, conf)
			}
		}
	}
	s.before = h.Traces()
	return s
}

func (s *site) victim() cnihost.Object { return s.chain[len(s.chain)-1] }

// add connects a pod through a list of plugins and returns the last result.
func (s *site) add(p *cnihost.Pod, chain []cnihost.Object) (cnihost.Result, error) {
	var r cnihost.Result
	for _, conf := range chain {
		var err error
		if r.Raw != "" {
			conf["prevResult"] = json.RawMessage(r.Raw)
		}
		if r, err = s.Add(p, conf); err != nil {
			return r, fmt.Errorf("ADD of %v: %w", conf["type"], err)
		}
	}
	return r, nil
}

func (s *site) del(p *cnihost.Pod) error {
	for i := len(s.chain) - 1; i >= 0; i-- {
		if err := s.Del(p, s.chain[i]); err != nil {
			return fmt.Errorf("DEL of %v: %w", s.chain[i]["type"], err)
		}
	}
	return nil
}

// gc has every plugin take away what is not the neighbour's.
func (s *site) gc() error {
	var valid []*cnihost.Pod
	if s.neighbour != nil {
		valid = append(valid, s.neighbour)
	}
	for _, conf := range s.chain {
		delete(conf, "prevResult")
		if err := s.GC(conf, valid...); err != nil {
			return fmt.Errorf("GC of %v: %w", conf["type"], err)
		}
	}
	return nil
}

// nowhere is a pod whose runtime does not know its namespace any more.
func nowhere(p *cnihost.Pod) *cnihost.Pod {
	return &cnihost.Pod{Namespace: &lab.Namespace{}, ID: p.ID, IfName: p.IfName}
}

// ways are how things go on after the kill, up to the point where nothing of the pod is left.
var ways = []struct {
	name string
	do   func(*site, *cnihost.Pod) error
}{
	{"ADD again, DEL", func(s *site, p *cnihost.Pod) error {
		r, err := s.add(p, s.chain)
		if err != nil {
			return err
		}
		again, err := s.add(p, s.chain)
		if err != nil || again.Addresses() != r.Addresses() {
			return fmt.Errorf("one ADD gives %s, the next %s, %v", r.Addresses(), again.Addresses(), err)
		}
		for _, conf := range s.chain {
			if err := s.Check(p, conf, again); err != nil {
				return fmt.Errorf("CHECK of %v: %w", conf["type"], err)
			}
		}
		return s.del(p)
	}},
	{"DEL", (*site).del},
	{"DEL without the namespace", func(s *site, p *cnihost.Pod) error {
		s.Vanish(p)
		return s.del(nowhere(p))
	}},
	{"GC without the namespace", func(s *site, p *cnihost.Pod) error {
		s.Vanish(p)
		return s.gc()
	}},
}

// kill kills the victim's verb at its nth call, goes on in one of the ways, and says whether there
// was an nth call. What is not as it was before the pod fails the test.
func kill(t *testing.T, network network, verb string, n, way int) (traced, error) {
	s := newSite(t, network)
	p := s.Pod()
	upTo := len(s.chain)
	if verb == "ADD" {
		upTo--
	}
	r, err := s.add(p, s.chain[:upTo])
	if err != nil {
		return traced{}, fmt.Errorf("before the kill: %w", err)
	}
	if r.Raw != "" {
		s.victim()["prevResult"] = json.RawMessage(r.Raw)
	}
	got, err := trace(s.Namespace, s.Verb(verb, p, s.victim()), n)
	if err != nil || !got.killed {
		if err == nil && got.code != 0 {
			err = fmt.Errorf("not killed, and fails: %s", got.stdout)
		}
		return got, err
	}
	if err := ways[way].do(s, p); err != nil {
		return got, err
	}
	if err := s.settled(); err != nil {
		return got, err
	}
	held := 0
	if s.neighbour != nil {
		held = 1
	}
	wholePool(t, s.Host, held)
	return got, nil
}

// settled compares with the time before the pod. The kernel takes the links of an ended namespace
// away in its own time.
func (s *site) settled() error {
	_, err := lab.Poll(s.TB.Context(), lab.Patience, func() error {
		traces := s.Traces()
		if s.neighbour == nil {
			traces = withoutBridge(traces)
		}
		return cnihost.SameTraces("left behind", traces, s.before)
	})
	return err
}

// withoutBridge leaves out what the first pod's ADD makes for the next ones and no DEL takes away.
func withoutBridge(traces string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(traces, "\n"), func(line string) bool {
		return strings.HasPrefix(line, "link br0 ") || strings.HasPrefix(line, "address ") && strings.HasSuffix(line, " on br0")
	}), "\n")
}

// The name of a point tells how to see it again: go test -run TestKill/….
func pointName(n, way int) string {
	return fmt.Sprintf("call %d, then %s", n, strings.ReplaceAll(ways[way].name, "/", ""))
}
