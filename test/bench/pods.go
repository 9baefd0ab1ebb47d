package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// rig is two hosts without a daemon, one with podnet's plugins and one with the reference ones, and
// the same configuration on both but for the directory of leases.
type rig struct {
	bench
	ours, theirs host
}

// host is one side.
type host struct {
	*cnihost.Host
	conf cnihost.Object
}

const network = "bench"

func (b bench) rig(fields cnihost.Object) rig {
	reference, err := lab.ReferencePlugins()
	b.must(err)
	return rig{b, b.host(lab.Program("cni"), fields), b.host(reference, fields)}
}

func (b bench) host(plugins string, fields cnihost.Object) host {
	h := cnihost.New(b.TB, plugins)
	ranges := [][]cnihost.Object{{{"subnet": "10.1.0.0/16"}}, {{"subnet": "fd00:1::/64"}}}
	return host{h, cnihost.Object{
		"cniVersion": "1.0.0", "name": network, "type": "bridge", "bridge": "cni0", "mtu": 1450,
		"isGateway": true, "isDefaultGateway": true, "hairpinMode": true,
		"ipam": cnihost.Object{"type": "host-local", "dataDir": h.Dir, "ranges": ranges},
	}.With(fields)}
}

// took are the durations of one verb on both sides.
type took struct{ ours, theirs []time.Duration }

// timed is one verb of one pod, from the exec of the plugin to its end.
func (h host) timed(verb string, p *cnihost.Pod, conf cnihost.Object) (time.Duration, error) {
	took, _, err := h.Timed(h.Verb(verb, p, conf))
	return took, err
}

// cycle adds and deletes one pod.
func (h host) cycle() (add, del time.Duration, err error) {
	p := h.Pod()
	defer h.Vanish(p)
	if add, err = h.timed("ADD", p, h.conf); err != nil {
		return 0, 0, err
	}
	del, err = h.timed("DEL", p, h.conf)
	return add, del, err
}

// oneByOne cycles pods on both sides in turn. The first of each is not counted: it makes the
// bridge, and what else is made once for a host.
func (r rig) oneByOne() (add, del took, err error) {
	for i := range r.bench.settings.pods + 1 {
		for _, side := range []struct {
			host
			add, del *[]time.Duration
		}{{r.ours, &add.ours, &del.ours}, {r.theirs, &add.theirs, &del.theirs}} {
			a, d, err := side.cycle()
			if err != nil {
				return add, del, fmt.Errorf("%s: %w", side.Plugins, err)
			}
			if i > 0 {
				*side.add, *side.del = append(*side.add, a), append(*side.del, d)
			}
		}
	}
	return add, del, nil
}

// fill puts so many leases of other pods into the directory, as the reference plugin writes them.
func (h host) fill(leases int) error {
	dir := filepath.Join(h.Dir, network)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	last := ""
	for i := range leases {
		last = fmt.Sprintf("10.1.%d.%d", (i+2)>>8, (i+2)&255)
		if err := os.WriteFile(filepath.Join(dir, last), fmt.Appendf(nil, "a-pod-of-before-%d\r\neth0", i), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "last_reserved_ip.0"), []byte(last), 0o600)
}

// pods measures the plugins: each call is a process, as a runtime makes it.
func (b bench) pods() {
	b.section("pods, dual stack, bridge and host-local (other: the reference plugins v1.9.1)")
	r := b.rig(nil)
	add, del, err := r.oneByOne()
	b.must(err)
	b.versus("ADD one by one", add.ours, add.theirs, 0.25)
	b.versus("DEL one by one", del.ours, del.theirs, 1)
	b.parts(r.ours, median(add.ours))
	b.judged()
	b.masquerading()
	b.crowded()
	b.atOnce(r)
	b.collected(del)
	b.portMappings(r)
}

// judged: an ADD on a node that judges by what pods send, and on one that does not, both of podnet's
// own network.
func (b bench) judged() {
	judged := cnihost.Object{"podnet": cnihost.Object{"antiSpoofing": true}}
	r := rig{b, b.host(lab.Program("cni"), judged), b.host(lab.Program("cni"), cnihost.Object{"podnet": cnihost.Object{}})}
	for _, sets := range []string{
		"add table bridge podnet",
		"add set bridge podnet " + device.SendersIPv4 + " { type ifname . ether_addr . ipv4_addr ; }",
		"add set bridge podnet " + device.SendersIPv6 + " { type ifname . ether_addr . ipv6_addr ; }",
	} {
		_, err := r.ours.Exec("nft", sets)
		b.must(err)
	}
	add, del, err := r.oneByOne()
	b.must(err)
	b.versus("ADD with antiSpoofing (other: without)", add.ours, add.theirs, 1.1)
	b.versus("DEL with antiSpoofing (other: without)", del.ours, del.theirs, 0)
}

// masquerading: an ADD with ipMasq on a node that has a pod already, and on one whose first and
// last pod it is: podnet's rules are a network's and come and go with its pods, the reference's are
// each pod's own.
func (b bench) masquerading() {
	r := b.rig(cnihost.Object{"ipMasq": true})
	first, firstDel, err := r.oneByOne()
	b.must(err)
	for _, side := range []host{r.ours, r.theirs} {
		_, err := side.timed("ADD", side.Pod(), side.conf) // it stays
		b.must(err)
	}
	if !masqueraded(r.ours) {
		b.absent("ADD with ipMasq")
		return
	}
	add, del, err := r.oneByOne()
	b.must(err)
	b.versus("ADD with ipMasq", add.ours, add.theirs, 0.1)
	b.versus("ADD with ipMasq, the network's only pod", first.ours, first.theirs, 0)
	b.versus("DEL with ipMasq", del.ours, del.theirs, 0)
	b.versus("DEL with ipMasq, the network's only pod", firstDel.ours, firstDel.theirs, 0)
}
