// Package runtime tests podnet under real container runtimes: a containerd a node, each on the
// node's own conflist and podnet's plugins, asked through CRI as a kubelet would.
package runtime

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
)

// The images of the tests: a pod's sandbox, and a container that has a busybox.
const (
	pauseImage   = "localhost/pause:1"
	busyboxImage = "localhost/busybox:1"
)

// image is a docker archive with nothing but a static busybox in it, so that no registry is needed.
func image(reference, busybox, config string) ([]byte, error) {
	binary, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	layer, err := archive(
		file{"bin/", 0o755, nil}, file{"bin/busybox", 0o755, binary}, file{"etc/", 0o755, nil}, file{"tmp/", 0o755, nil},
		file{"proc/", 0o755, nil}, file{"sys/", 0o755, nil}, file{"dev/", 0o755, nil},
		file{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/bin/busybox\n")},
	)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(layer)
	return archive(
		file{"manifest.json", 0o644, fmt.Appendf(nil, `[{"Config":"config.json","RepoTags":[%q],"Layers":["layer.tar"]}]`, reference)},
		file{"config.json", 0o644, fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","config":{%s},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}`,
			config, hex.EncodeToString(sum[:]))},
		file{"layer.tar", 0o644, layer},
	)
}

// file is one entry of an archive; a name that ends in a slash is a directory.
type file struct {
	name    string
	mode    int64
	content []byte
}

func archive(files ...file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}
