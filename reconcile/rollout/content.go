package rollout

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/files"
	"golang.org/x/sys/unix"
)

// content is what a file holds.
type content struct {
	data   []byte // nil: it could not be read; not to be changed
	digest string
}

// contents reads topology files. One that the file system says has not been touched since it was
// last read is not read again: a pass would spend more on megabytes of unchanged text than on most
// else.
type contents map[string]seen

// seen is a file as it was read.
type seen struct {
	content
	stamp stamp
	sure  bool // a change of it would show in the stamp
}

// stamp is what every write, rename or replacement of a file changes, but for one within a tick of
// the file system's clock.
type stamp struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec // the inode; no program can set this time
}

// tick is more than any file system's clock stands still. A file that was touched less than that
// ago is read again.
const tick = 2 * time.Second

// read is what a file holds now. It has to be a regular file: a pipe in its place would hold the
// reader up for ever.
func (c contents) read(path string) (content, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = files.NoFileError(path, info.Mode())
	}
	if err != nil {
		delete(c, path)
		return content{}, err
	}
	now, changed := stampOf(info)
	if old := c[path]; old.sure && old.stamp == now {
		return old.content, nil
	}
	sure := time.Since(changed) > tick
	data, err := ReadTopology(path)
	if err != nil {
		return content{}, err
	}
	c[path] = seen{c.shared(content{data, schema.Digest(data)}), now, sure}
	return c[path].content, nil
}

// shared is the content as another file has it already: the file and the last good one are mostly
// the same.
func (c contents) shared(is content) content {
	for _, other := range c {
		if other.digest == is.digest {
			return other.content
		}
	}
	return is
}

func stampOf(info fs.FileInfo) (stamp, time.Time) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}, time.Now()
	}
	return stamp{uint64(s.Dev), s.Ino, s.Size, s.Ctim}, time.Unix(s.Ctim.Unix())
}

// ReadTopology reads a topology file as far as one can be long.
func ReadTopology(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// Room for the whole and for the read that finds its end: a buffer that grows holds the text
	// twice for a while.
	b := bytes.NewBuffer(make([]byte, 0, min(info.Size(), schema.MaxBytes+1)+bytes.MinRead))
	_, err = b.ReadFrom(io.LimitReader(f, schema.MaxBytes+1))
	return b.Bytes(), err
}
