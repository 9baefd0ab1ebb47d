package explain

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// podList is what a test reads of the document.
type podList struct {
	APIVersion, Kind string
	Pods             []struct {
		Namespace, Name, ContainerID, IfName, HostVeth, Trouble string
		Addresses                                               []string
		Since                                                   time.Time
	}
}

func (s *site) pods() podList {
	s.Helper()
	out := s.a.Podnetctl("pods", "-o", "json")
	var list podList
	if err := json.Unmarshal([]byte(out.Stdout), &list); err != nil || out.Code != 0 || list.Kind != "PodList" {
		s.Fatalf("pods: exit code %d, %v\n%s%s", out.Code, err, out.Stdout, out.Stderr)
	}
	return list
}

func TestPods(t *testing.T) {
	s := newSite(t)
	list := s.pods()
	if len(list.Pods) != 1 {
		t.Fatalf("pods %+v, want one", list)
	}
	p := list.Pods[0]
	veth := strings.TrimSuffix(strings.SplitN(s.a.Sh("ip -br link show group 7201"), "@", 2)[0], " ")
	if p.Namespace != "default" || p.Name != "web" || p.ContainerID != s.web.ID || p.IfName != "eth0" || p.HostVeth != veth || p.Trouble != "" ||
		!slices.Equal(p.Addresses, []string{s.web.Addr4(), s.web.Addr6()}) || p.Since.IsZero() {
		t.Errorf("%+v", p)
	}
	screen := s.a.Podnetctl("pods").Stdout
	for _, word := range []string{s.web.Addr4(), s.web.Addr6(), "default/web", s.web.ID[:13], veth} {
		if !strings.Contains(screen, word) {
			t.Errorf("the screen lacks %s:\n%s", word, screen)
		}
	}

	t.Run("without its port", func(t *testing.T) {
		s.a.Sh("ip link set " + veth + " nomaster")
		if p := s.pods().Pods[0]; !strings.Contains(p.Trouble, "no port of cni0") {
			t.Errorf("%+v", p)
		}
		s.a.Podnetctl("apply")
	})
	t.Run("without its lease", func(t *testing.T) {
		lease := s.a.Path("/var/lib/cni/networks/podnet/")
		for _, a := range s.web.Addrs() {
			if err := os.Rename(lease+"/"+a.String(), lease+"/kept"+a.String()); err != nil {
				t.Fatal(err)
			}
		}
		p := s.pods().Pods[0]
		if !strings.Contains(p.Trouble, "no lease") || p.ContainerID != s.web.ID || len(p.Addresses) != 2 || p.HostVeth != veth {
			t.Errorf("%+v", p)
		}
		for _, a := range s.web.Addrs() {
			if err := os.Rename(lease+"/kept"+a.String(), lease+"/"+a.String()); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("without one of its leases", func(t *testing.T) {
		if _, err := s.web.Exec("ip", "addr", "add", "198.51.100.7/32", "dev", "eth0"); err != nil { // nobody else can get that
			t.Fatal(err)
		}
		lease := s.a.Path("/var/lib/cni/networks/podnet/")
		for _, a := range s.web.Addrs() {
			if p := s.pods().Pods[0]; p.Trouble != "" {
				t.Errorf("with both: %+v", p)
			}
			if err := os.Rename(lease+"/"+a.String(), lease+"/kept"+a.String()); err != nil {
				t.Fatal(err)
			}
			if p := s.pods().Pods[0]; !strings.Contains(p.Trouble, "no lease of "+a.String()) || !slices.Equal(p.Addresses, []string{s.web.Addr4(), s.web.Addr6()}) {
				t.Errorf("without that of %s: %+v", a, p)
			}
			if err := os.Rename(lease+"/kept"+a.String(), lease+"/"+a.String()); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("of another plugin, without its veth", func(t *testing.T) {
		lease := s.a.Path("/var/lib/cni/networks/podnet/10.244.0.99")
		if err := os.WriteFile(lease, []byte("foreign\r\neth0"), 0o600); err != nil {
			t.Fatal(err)
		}
		if p := s.pods().Pods[1]; p.ContainerID != "foreign" || !strings.Contains(p.Trouble, "another plugin wrote its lease") {
			t.Errorf("%+v", p)
		}
		if err := os.Remove(lease); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("without its veth", func(t *testing.T) {
		s.a.Sh("ip link del " + veth)
		if p := s.pods().Pods[0]; !strings.Contains(p.Trouble, "host veth is missing") || p.HostVeth != "" || p.Name != "web" {
			t.Errorf("%+v", p)
		}
		e := s.explain(s.a, 1, "--from", "web", "node-b")
		if e.Hops[0].Kind != "pod" || e.Broken != 1 {
			t.Errorf("explain says %+v", e)
		}
	})
}

// Veths that the reference plugin made have names of chance: the pod's addresses tell whose they
// are.
func TestPodsOfTheReferencePlugins(t *testing.T) {
	reference, err := lab.ReferencePlugins()
	if err != nil {
		t.Skip(err)
	}
	s := newSite(t)
	s.a.CNIPath = reference
	p := s.a.Pod("other")
	list := s.pods()
	if len(list.Pods) != 2 {
		t.Fatalf("%+v", list)
	}
	got := list.Pods[slices.IndexFunc(list.Pods, func(p struct {
		Namespace, Name, ContainerID, IfName, HostVeth, Trouble string
		Addresses                                               []string
		Since                                                   time.Time
	}) bool {
		return p.Name == ""
	})]
	if got.ContainerID != p.ID || got.HostVeth == "" || got.Trouble != "" {
		t.Errorf("%+v", got)
	}
	if e := s.explain(s.a, 0, "--from", p.ID[:12], "--probe", s.db.Addr4()); e.From != p.Addr4() {
		t.Errorf("%+v", e)
	}
}
