package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// masqueraded says whether the host has a rule that hides pods behind its address.
func masqueraded(h host) bool {
	for _, query := range []string{"iptables-save", "nft list ruleset"} {
		if out, err := h.Sh(query); err == nil && strings.Contains(strings.ToLower(out), "masq") {
			return true
		}
	}
	return false
}

// crowded: directories that are full of leases.
func (b bench) crowded() {
	r := b.rig(nil)
	b.must(r.ours.fill(b.leases))
	b.must(r.theirs.fill(b.leases))
	add, del, err := r.oneByOne()
	b.must(err)
	b.versus(fmt.Sprintf("ADD with %d leases", b.leases), add.ours, add.theirs, 0.05)
	b.versus(fmt.Sprintf("DEL with %d leases", b.leases), del.ours, del.theirs, 0.3)

	full, empty := b.rig(nil).ours, b.rig(nil).ours
	b.must(full.fill(b.manyLeases))
	var withMany, withNone []time.Duration
	for i := range b.settings.pods + 1 {
		many, _, err := full.cycle()
		b.must(err)
		none, _, err := empty.cycle()
		b.must(err)
		if i > 0 { // the first takes the directory over
			withMany, withNone = append(withMany, many), append(withNone, none)
		}
	}
	b.versus(fmt.Sprintf("ADD with %d leases (other: podnet's own with none)", b.manyLeases), withMany, withNone, 1.3)
	b.must(os.RemoveAll(full.Dir))
}

// atOnce adds several pods at a time; the figure is the time for each of them.
func (b bench) atOnce(r rig) {
	var t took
	for range b.rounds {
		ours, err := r.ours.wave(b.parallel)
		b.must(err)
		theirs, err := r.theirs.wave(b.parallel)
		b.must(err)
		t.ours, t.theirs = append(t.ours, ours), append(t.theirs, theirs)
	}
	b.versus(fmt.Sprintf("ADD %d at a time, time for each", b.parallel), t.ours, t.theirs, 0.5)
}

// wave adds so many pods at the same time, four times, and deletes them.
func (h host) wave(parallel int) (time.Duration, error) {
	const times = 4
	var total time.Duration
	for range times {
		pods := make([]*cnihost.Pod, parallel)
		for i := range pods {
			pods[i] = h.Pod()
		}
		failed := make(chan error, parallel)
		begin := time.Now()
		for _, p := range pods {
			go func() {
				_, err := h.timed("ADD", p, h.conf)
				failed <- err
			}()
		}
		for range pods {
			if err := <-failed; err != nil {
				return 0, err
			}
		}
		total += time.Since(begin)
		for _, p := range pods {
			h.MustDel(p, h.conf)
			h.Vanish(p)
		}
	}
	return total / time.Duration(times*parallel), nil
}

// collected: podnetctl gc of host veths whose deletion was interrupted, next to as many DELs of the
// reference.
func (b bench) collected(del took) {
	const deleting = 7202 // the group of links that are being deleted
	n := lab.New(b.TB).Node("garbage")
	n.Write(alone(site(n, 0, dual)).String())
	b.apply(n)
	var batch []string
	for i := range b.garbage {
		batch = append(batch,
			fmt.Sprintf("link add name garbage%d group %d master %s type veth peer name left%d", i, deleting, lab.Bridge, i))
	}
	var ours, theirs []time.Duration
	for range b.rounds {
		b.must(n.Batch("ip", batch...))
		out := n.Podnetctl("gc")
		left, err := n.Exec("ip", "-o", "link", "show", "group", fmt.Sprint(deleting))
		b.must(err)
		if out.Code != 0 || left != "" {
			b.absent("podnetctl gc of veths that are being deleted")
			return
		}
		ours = append(ours, out.Took)
		theirs = append(theirs, median(del.theirs)*time.Duration(b.garbage))
	}
	b.versus(fmt.Sprintf("podnetctl gc of %d veths (other: as many DELs)", b.garbage), ours, theirs, 0.1)
	b.drop(n)
}

// portMappings: portmap alone, after the pod has its addresses.
func (b bench) portMappings(r rig) {
	const what = "portmap ADD, two ports, dual stack"
	if _, err := os.Stat(filepath.Join(r.ours.Plugins, "portmap")); err != nil {
		b.absent(what)
		return
	}
	var add, del took
	for i := range b.settings.pods + 1 {
		for _, side := range []struct {
			host
			add, del *[]time.Duration
		}{{r.ours, &add.ours, &del.ours}, {r.theirs, &add.theirs, &del.theirs}} {
			a, d := side.mapped()
			if i > 0 {
				*side.add, *side.del = append(*side.add, a), append(*side.del, d)
			}
		}
	}
	b.versus(what, add.ours, add.theirs, 0.15)
	b.versus("portmap DEL of them", del.ours, del.theirs, 0)
}

// mapped times portmap's ADD and DEL for one pod.
func (h host) mapped() (add, del time.Duration) {
	p := h.Pod()
	defer h.Vanish(p)
	result := h.MustAdd(p, h.conf)
	conf := cnihost.Object{
		"cniVersion": "1.0.0", "name": network, "type": "portmap", "capabilities": cnihost.Object{"portMappings": true},
		"runtimeConfig": cnihost.Object{"portMappings": []cnihost.Object{
			{"hostPort": 18080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 15353, "containerPort": 53,
				"protocol": "udp"},
		}},
		"prevResult": rawJSON(result.Raw),
	}
	add, err := h.timed("ADD", p, conf)
	if err == nil {
		del, err = h.timed("DEL", p, conf)
	}
	if err != nil {
		h.TB.Fatalf("portmap of %s: %v", h.Plugins, err)
	}
	h.MustDel(p, h.conf)
	return add, del
}
