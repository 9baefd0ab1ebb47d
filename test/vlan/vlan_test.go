// Package vlan tests the bridge plugin's VLANs on a kernel that has them: Debian's, in QEMU,
// wherever the tests run.
package vlan

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needed are the programs that the machine is made with, and the packages that have them.
var needed = map[string]string{
	"qemu-system-x86_64": "qemu-system-x86", "cpio": "cpio", "depmod": "kmod", "busybox": "busybox-static", "bridge": "iproute2",
	"nsenter": "util-linux", "ping": "iputils-ping", "apt-get": "a Debian host",
}

func TestVLAN(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a machine")
	}
	var missing []string
	for program, pkg := range needed {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, fmt.Sprintf("%s (%s)", program, pkg))
		}
	}
	if len(missing) > 0 {
		t.Skipf("missing: %s", strings.Join(missing, ", "))
	}
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(source, "bin", "vm")
	if _, err := os.Stat(filepath.Join(cache, "kernel", "boot")); err != nil && !downloads() {
		t.Skip("missing: Debian's kernel package, and it cannot be downloaded (apt-get download linux-image-amd64's newest)")
	}
	plugins := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", plugins+"/", "./cmd/cni/bridge", "./cmd/cni/host-local", "./cmd/podnetctl")
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command("./boot.sh", plugins, cache).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// downloads says whether apt knows where the kernel's package is.
func downloads() bool {
	return exec.Command("sh", "-c", "apt-get download --print-uris linux-image-amd64 | grep -q .").Run() == nil
}
