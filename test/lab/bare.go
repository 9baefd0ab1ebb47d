package lab

import "fmt"

// NewNamespace makes an empty network namespace that ends with the test: a host or a pod of no
// cluster, which no plugin has touched yet. Its lo is down. Like New it needs Isolate.
func NewNamespace(t TB, name string) *Namespace {
	t.Helper()
	Need(t)
	ns, err := newNamespace(fmt.Sprintf("bare%d-%s", count.Add(1), name))
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Logf("%v", err)
		}
	})
	return ns
}
