package protocol

import (
	"fmt"
	"math"

	"github.com/containernetworking/cni/pkg/types"
)

// CheckRoutes refuses routes that cannot be, which the library's types let pass: null, without a
// destination, over a gateway of the other family, or with a number that its field in the kernel
// cannot hold.
func CheckRoutes(routes []*types.Route) error {
	for i, r := range routes {
		if fault := routeFault(r); fault != "" {
			return Errorf(CodeConfig, "routes[%d]: %s", i, fault)
		}
	}
	return nil
}

func routeFault(r *types.Route) string {
	switch {
	case r == nil || r.Dst.IP == nil:
		return "no dst (0.0.0.0/0 or ::/0 for a default route)"
	case r.GW != nil && (r.GW.To4() == nil) != (r.Dst.IP.To4() == nil):
		return fmt.Sprintf("the gateway %s is of another family than %s", r.GW, r.Dst.String())
	case outOf(math.MaxUint32, r.MTU, r.AdvMSS, r.Priority, deref(r.Table)):
		return "mtu, advmss, priority and table are between 0 and 4294967295"
	case outOf(math.MaxUint8, deref(r.Scope)):
		return fmt.Sprintf("scope %d is not between 0 and 255", *r.Scope)
	}
	return ""
}

func outOf(most int, numbers ...int) bool {
	for _, n := range numbers {
		if n < 0 || n > most {
			return true
		}
	}
	return false
}

func deref(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
