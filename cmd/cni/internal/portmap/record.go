package portmap

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
)

// recordDir is the directory of the records of podnet's own network: a file for each attachment
// that has host ports, named after its host veth. A record is there before the rules that it is
// about, and is removed after the last of them. Both happen under the lock of the packet filter, so
// that whoever holds the lock finds rules and records that belong together. After a killed call
// there may be less: the record then says whose the rest is. "" stands for the network of somebody
// else, of which nothing is recorded.
type recordDir string

// recordsOf returns the directory that a configuration names. One that is damaged names none: a DEL
// has to work all the same.
func recordsOf(req *protocol.Request) recordDir {
	var dir string
	req.Config.Object("podnet").String("records", &dir)
	if !filepath.IsAbs(dir) {
		return ""
	}
	return recordDir(dir)
}

// record is what an ADD was asked for: enough to do it again.
type record struct {
	Network     string         `json:"network"`
	ContainerID string         `json:"containerID"`
	IfName      string         `json:"ifname"`
	Addresses   []netip.Prefix `json:"addresses"` // the pod's, one a family
	Config      config         `json:"config"`    // with the backend that was chosen
}

func recordOf(c *config, backend string, a *attachment) record {
	r := record{
		Network: a.owner.network, ContainerID: a.owner.container, IfName: a.owner.ifname, Config: *c,
	}
	r.Config.Backend = backend
	for _, ipv6 := range families {
		if p := a.pod[ipv6]; p.IsValid() {
			r.Addresses = append(r.Addresses, p)
		}
	}
	return r
}

func (r record) owner() owner { return owner{r.Network, r.ContainerID, r.IfName} }

// attachment returns what the ADD made.
func (r record) attachment() (*attachment, error) {
	pod := map[bool]netip.Prefix{}
	for _, p := range r.Addresses {
		pod[p.Addr().Is6()] = p
	}
	return r.Config.attach(r.owner(), pod)
}

// recordName is the name of an attachment's record.
func recordName(o owner) string {
	return device.VethName(o.network, o.container, o.ifname) + recordSuffix
}

const (
	recordSuffix = ".json"
	mostRecord   = 1 << 20 // bytes
)

func (d recordDir) path(o owner) string { return filepath.Join(string(d), recordName(o)) }

// temporary is what a record is written to before it gets its name. A killed ADD leaves it for the
// next call that is about the same attachment.
func (d recordDir) temporary(o owner) string {
	return filepath.Join(string(d), "."+recordName(o))
}

// write puts a record in place, all of it or nothing. It outlives the plugin and no reboot, like the
// rules.
func (d recordDir) write(r record) error {
	if d == "" {
		return nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return fmt.Errorf("the directory for records of host ports: %w", err)
	}
	temporary := d.temporary(r.owner())
	err = os.WriteFile(temporary, append(text, '\n'), 0o600)
	if err == nil {
		err = os.Rename(temporary, d.path(r.owner()))
	}
	if err != nil {
		return fmt.Errorf("record the host ports: %w", err)
	}
	return nil
}

// has reports whether there is a record of an attachment, or part of one.
func (d recordDir) has(o owner) (bool, error) {
	if d == "" {
		return false, nil
	}
	for _, path := range []string{d.path(o), d.temporary(o)} {
		_, err := os.Lstat(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	return false, nil
}

func (d recordDir) remove(o owner) error {
	if d == "" {
		return nil
	}
	var failed error
	for _, path := range []string{d.path(o), d.temporary(o)} {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// errNoRecord says that a file is none that this plugin has written whole.
var errNoRecord = errors.New("no record of host ports")

// read returns a record by the name of its file. errNoRecord if the file is anything else.
func (d recordDir) read(name string) (r record, a *attachment, err error) {
	f, err := os.OpenFile(filepath.Join(string(d), name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return r, nil, errNoRecord
	}
	if err != nil {
		return r, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return r, nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > mostRecord {
		return r, nil, errNoRecord
	}
	text, err := io.ReadAll(io.LimitReader(f, mostRecord))
	if err != nil {
		return r, nil, err
	}
	if json.Unmarshal(text, &r) != nil || r.Config.validate() != nil || recordName(r.owner()) != name {
		return r, nil, errNoRecord
	}
	backend, err := r.Config.backend()
	if err != nil || backend == "" {
		return r, nil, errNoRecord
	}
	if a, err = r.attachment(); err != nil || len(a.forwards) == 0 {
		return r, nil, errNoRecord
	}
	return r, a, nil
}

// names returns the files of the directory, without those that are being written.
func (d recordDir) names() ([]string, error) {
	if d == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// withdraw removes an attachment's rules and then its record.
func withdraw(d recordDir, o owner) error {
	return withBackends(func(b *backends) error {
		if _, err := b.remove(whose{owner: o}); err != nil {
			return err
		}
		return d.remove(o)
	})
}

// forgotten withdraws whatever is on record and gone says is gone.
func forgotten(d recordDir, gone func(owner) (bool, error)) error {
	names, failed := d.names()
	for _, name := range names {
		r, _, err := d.read(name)
		if err != nil {
			continue // it is nobody's, or has gone
		}
		is, err := gone(r.owner())
		if is && err == nil {
			err = withdraw(d, r.owner())
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
