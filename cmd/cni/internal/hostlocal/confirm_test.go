package hostlocal

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// A lease that was collected, or given to somebody else, before the veth was there is noticed.
func TestConfirm(t *testing.T) {
	dir := t.TempDir()
	conf := fmt.Sprintf(`{"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00::/64"}]]}}`, dir)
	req := &protocol.Request{Config: []byte(conf), Network: "net", ContainerID: "id", IfName: "eth0"}
	a, err := Allocate(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Confirm(req); err != nil {
		t.Errorf("right after: %v", err)
	}
	lease := filepath.Join(dir, "net", a.Grants[1].Addr.Addr().String())
	for name, lose := range map[string]func() error{
		"collected":     func() error { return os.Remove(lease) },
		"somebody else": func() error { return os.WriteFile(lease, []byte("other\r\neth0"), 0o600) },
	} {
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		err := a.Confirm(req)
		coded(t, err)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
