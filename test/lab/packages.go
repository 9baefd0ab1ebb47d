package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// CopyDebs puts a Debian package that make e2e has fetched, with what it depends on beyond this
// machine's own packages, into a directory, for dpkg -i. They are for servers of the lab alone: on
// this machine they would take over the network, or have timers. An error says how to get them.
func CopyDebs(name, dir string) error {
	from := filepath.Join(SourceTree(), "bin/debs", name)
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there (as root on Debian: make setup-e2e fetches it)", from)
	}
	return os.CopyFS(dir, os.DirFS(from))
}

// Repackage makes a package (deb or rpm) of the same files as make package has, as another version,
// and returns its path in dir.
func Repackage(packager, version, dir string) (string, error) {
	nfpm, err := filepath.Glob(filepath.Join(SourceTree(), "bin/nfpm-*"))
	if err != nil || len(nfpm) != 1 {
		return "", fmt.Errorf("%d programs bin/nfpm-*, want one (make package)", len(nfpm))
	}
	path := filepath.Join(dir, "podnet-"+version+"."+packager)
	cmd := exec.Command(nfpm[0], "package", "--config", "systemd/package/nfpm.yaml", "--packager", packager,
		"--target", path)
	cmd.Dir = SourceTree()
	cmd.Env = append(os.Environ(), "PODNET_VERSION="+version, "PODNET_ARCH="+runtime.GOARCH, "SOURCE_DATE_EPOCH=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return path, nil
}
