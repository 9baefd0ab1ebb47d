package portmap

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/podnet/podnet/state/netfilter"
)

// Published is what the record of one attachment to podnet's own network says of its host ports.
type Published struct {
	Name    string // of the record's file
	Network string
	Pod     string // the container's id
	IfName  string
	Backend string
	Ports   []string // such as 8080/tcp to 10.244.1.2:80
}

// Records returns what is on record in a directory, and the files in it that are no records. It
// takes no lock.
func Records(dir string) (all []Published, foreign []string, err error) {
	d := recordDir(dir)
	names, err := d.names()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		r, a, err := d.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, errNoRecord):
			foreign = append(foreign, filepath.Join(dir, name))
		case err != nil:
			return nil, nil, err
		default:
			all = append(all, published(name, r, a))
		}
	}
	return all, foreign, nil
}

func published(name string, r record, a *attachment) Published {
	p := Published{
		Name: name, Network: r.Network, Pod: r.ContainerID, IfName: r.IfName, Backend: r.Config.Backend,
	}
	for _, f := range a.forwards {
		host := f.mapping.host.String()
		if f.wild() {
			host = strconv.Itoa(int(f.mapping.host.Port()))
		}
		p.Ports = append(p.Ports, host+"/"+f.protocol+" to "+f.pod.String())
	}
	return p
}

// settleTime is how long Lacks waits for an ADD or DEL that is at work, which takes milliseconds.
const settleTime = 2 * time.Second

// Lacks returns, for each record, what is missing of its rules; "" if nothing is, or the record has
// gone. counted says that nftables numbers every change of what has been read: rules of
// iptables-legacy have no such number. An ADD or DEL that has done half of its work is waited for.
func Lacks(dir string, names []string) (lacks []string, counted bool, err error) {
	lacks, counted = make([]string, len(names)), true
	check := func(b *backends) error {
		for i, name := range names {
			r, a, err := recordDir(dir).read(name)
			if err != nil {
				lacks[i] = ""
				continue
			}
			if r.Config.Backend == nameIPTables {
				legacy, err := netfilter.IsLegacy("iptables")
				counted = counted && err == nil && !legacy
			}
			if lacks[i], err = b.named(r.Config.Backend).check(a); err != nil {
				return err
			}
		}
		return nil
	}
	if err := look(check); err != nil || strings.Join(lacks, "") == "" {
		return lacks, counted, err
	}
	err = netfilter.Locked(settleTime, func(conn *netfilter.Conn) error { return check(newBackends(conn)) })
	if errors.Is(err, netfilter.ErrLocked) {
		err = nil
	}
	return lacks, counted, err
}

// Restore puts the rules back that a record is about, as far as they are not as its ADD left them.
// A record that has gone asks for none.
func Restore(dir, name string) error {
	return withBackends(func(b *backends) error {
		r, a, err := recordDir(dir).read(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		backend, err := installed(r.Config.Backend)
		if err != nil {
			return err
		}
		if missing, err := b.named(backend).check(a); err != nil || missing == "" {
			return err
		}
		if err := b.makeWay(a); err != nil {
			return err
		}
		return b.put(backend, a)
	})
}

// Withdraw removes the rules that a record is about, and the record.
func Withdraw(dir, name string) error {
	r, _, err := recordDir(dir).read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return withdraw(recordDir(dir), r.owner())
}
