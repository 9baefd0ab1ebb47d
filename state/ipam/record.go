package ipam

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/sysctl"
)

// storeStamp says that podnet's plugins keep this store, and since which boot of the machine. It is
// synced to the disk, once a boot: the leases are not, but must never seem to be of another boot
// than they are. An empty BootID: the leases' boot is not known, and nothing is ever freed because
// of it.
type storeStamp struct {
	Version int    `json:"version"`
	BootID  string `json:"bootID"`
}

const recordVersion = 1

// text is the record as it is written. A boot id has nothing that JSON would escape.
func (r storeStamp) text() string {
	return `{"version":` + strconv.Itoa(r.Version) + `,"bootID":"` + r.BootID + "\"}\n"
}

func (s *Store) recordPath() string { return filepath.Join(s.dir, ownDir, "record") }

// readRecord is the zero record if there is none, or none that this version understands.
func (s *Store) readRecord() (storeStamp, error) {
	text, err := readFile(s.recordPath())
	if errors.Is(err, fs.ErrNotExist) {
		return storeStamp{}, nil
	}
	if err != nil {
		return storeStamp{}, err
	}
	if now := (storeStamp{recordVersion, s.bootID}); string(text) == now.text() { // nearly always, and much faster
		return now, nil
	}
	var r storeStamp
	if json.Unmarshal(text, &r) != nil || r.Version != recordVersion {
		return storeStamp{}, nil
	}
	return r, nil
}

func (s *Store) writeRecord(r storeStamp) error {
	scratch, err := s.scratch(r.text())
	if err != nil {
		return err
	}
	if err := sync(scratch); err != nil {
		return err
	}
	if err := os.Rename(scratch, s.recordPath()); err != nil {
		return err
	}
	return sync(filepath.Join(s.dir, ownDir))
}

func sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// bootID tells this boot of the machine from every other; "" where it cannot be read.
func bootID() string {
	id, _ := sysctl.Read("kernel/random/boot_id") // nothing where it cannot
	return id
}

// stampNanoseconds marks the directory as last changed by podnet. Whoever makes or removes a lease
// changes the directory's time of modification; podnet sets its fraction of a second to this number
// when it is done. A directory that bears another one was changed by somebody else, or by a podnet
// that was killed: the index may lack something then.
const stampNanoseconds = 720_072_072

func (s *Store) stamp() error {
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: time.Now().Unix(), Nsec: stampNanoseconds}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, s.dir, ts, 0); err != nil {
		return fmt.Errorf("stamp %s: %w", s.dir, err)
	}
	return nil
}

func (s *Store) stamped() (bool, error) {
	var st unix.Stat_t
	if err := unix.Stat(s.dir, &st); err != nil {
		return false, fmt.Errorf("stat %s: %w", s.dir, err)
	}
	return st.Mtim.Nsec == stampNanoseconds, nil
}
