package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/podnet/podnet/state/ipam"
)

// inFlight is how long an ADD may take from its lease to its veth where it cannot be told whether one is running. One that
// takes longer finds its lease gone and fails.
const inFlight = time.Minute

// settled leaves out the leases of containers that a plugin is adding. A lease without a veth that was there before the
// processes were looked at is either of one of these, or will not get a veth.
func settled(leases []ipam.Lease) []ipam.Lease {
	if len(leases) == 0 {
		return nil
	}
	adding, known := addingContainers()
	var all []ipam.Lease
	for _, l := range leases {
		if known && !adding[l.Owner.ContainerID] || time.Since(l.Since) > inFlight {
			all = append(all, l)
		}
	}
	return all
}

// addingContainers are the ids that running plugins have been told to add; false if not every process could be asked, as
// podnetd cannot without CAP_SYS_PTRACE.
func addingContainers() (map[string]bool, bool) {
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(paths) == 0 {
		return nil, false
	}
	ids := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH): // it has ended
			continue
		case err != nil:
			return nil, false
		}
		if id, ok := addedBy(strings.Split(string(text), "\x00")); ok {
			ids[id] = true
		}
	}
	return ids, true
}

func addedBy(env []string) (id string, adds bool) {
	for _, e := range env {
		if e == "CNI_COMMAND=ADD" {
			adds = true
		}
		if value, ok := strings.CutPrefix(e, "CNI_CONTAINERID="); ok {
			id = value
		}
	}
	return id, adds
}
