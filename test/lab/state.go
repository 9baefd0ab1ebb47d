package lab

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// State is everything that a node's kernel holds, as text: a heading for every tool asked, then one
// line for every object. What changes by itself is left out: counters, clocks, interface numbers,
// and entries that the kernel learned. Two equal texts are two equal networks.
func (n *Node) State() string {
	n.lab.Helper()
	n.settle()
	var b strings.Builder
	for _, q := range stateQueries {
		fmt.Fprintf(&b, "# %s\n", q.tool)
		objects, err := n.ask(q)
		n.lab.must(err)
		for _, o := range objects {
			if learned(o) {
				continue
			}
			strip(o)
			line, err := json.Marshal(o)
			n.lab.must(err)
			fmt.Fprintf(&b, "%s\n", line)
		}
	}
	for _, tool := range []string{"iptables-save", "ip6tables-save"} {
		fmt.Fprintf(&b, "# %s\n%s", tool, n.Firewall(tool))
	}
	b.WriteString(sysctlHeading + n.sysctls())
	return b.String()
}

// query is what one process of a tool that has -batch and -j is asked.
type query struct {
	tool  string
	lines []string
}

// stateQueries ask for all that State shows. A program costs milliseconds to execute, and one for
// each line was most of what the tests of whole clusters cost.
var stateQueries = []query{
	{"ip -d -j", []string{"link show", "addr show", "route show table all", "neigh show nud permanent", "rule show"}},
	{"ip -6 -d -j", []string{"route show table all", "rule show"}},
	{"bridge -d -j", []string{"fdb show", "link show"}},
}

// ask returns the objects that all lines of a query show, sorted by their text.
func (n *Node) ask(q query) ([]map[string]any, error) {
	out, err := n.batch(q.tool, q.lines...)
	if err != nil {
		return nil, err
	}
	return decodeObjects(out)
}

// sysctlHeading begins the last section.
const sysctlHeading = "# sysctl\n"

// Objects runs a tool that prints a JSON array and returns its objects, sorted by their text where
// the kernel's order means nothing.
func (n *Node) Objects(query string) []map[string]any {
	n.lab.Helper()
	objects, err := n.objects(query)
	n.lab.must(err)
	return objects
}

func (n *Node) objects(query string) ([]map[string]any, error) {
	out, err := n.Exec(strings.Fields(query)...)
	if err != nil {
		return nil, err
	}
	objects, err := decodeObjects(out)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w\n%s", n.Host, query, err, out)
	}
	return objects, nil
}

// decodeObjects reads arrays of objects, one behind the other, and sorts the objects by their text:
// the kernel's order means nothing. `ip -j` prints no array for nothing at all.
func decodeObjects(out string) ([]map[string]any, error) {
	var objects []map[string]any
	for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
		var array []map[string]any
		if err := decoder.Decode(&array); err != nil {
			return nil, err
		}
		objects = append(objects, array...)
	}
	objects = slices.DeleteFunc(objects, func(o map[string]any) bool { return len(o) == 0 }) // a bug of ip 6.1
	slices.SortStableFunc(objects, func(x, y map[string]any) int { return strings.Compare(text(x), text(y)) })
	return objects, nil
}

func text(o map[string]any) string {
	data, err := json.Marshal(o)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// settle waits until the kernel is through with the links and their IPv6 addresses: carriers come
// up, and addresses get their local routes, some time after the command that asked for them.
func (n *Node) settle() {
	n.lab.Helper()
	Eventually(n.lab, Patience, n.Host+": eth0 up, and a local route for each IPv6 address", func() error {
		objects, err := n.ask(query{"ip -6 -j", []string{"addr show", "route show table local"}})
		if err != nil {
			return err
		}
		local := map[string]bool{}
		for _, o := range objects {
			if o["type"] == "local" {
				local[fmt.Sprint(o["dst"], " ", o["dev"])] = true
			}
		}
		up := map[any]bool{}
		for _, l := range objects {
			if l["addr_info"] == nil || l["operstate"] == "DOWN" {
				continue
			}
			addrs, _ := l["addr_info"].([]any)
			for _, a := range addrs {
				if address := fmt.Sprint(a.(map[string]any)["local"], " ", l["ifname"]); !local[address] {
					return fmt.Errorf("no local route for %s", address)
				}
			}
			up[l["ifname"]] = len(addrs) > 1
		}
		if !n.settled && !up["eth0"] {
			return fmt.Errorf("%v", objects)
		}
		n.settled = true
		return nil
	})
}

// learned reports whether the kernel makes, changes or drops an entry by itself: what a bridge
// learned, the groups that links listen to, the routes that come and go with carriers, link-local
// addresses and forwarding, and neighbours marked as learned from outside (the plugins' entries for
// pods), whose state follows the traffic.
func learned(o map[string]any) bool {
	if _, outside := o["extern_learn"]; outside && o["mac"] == nil {
		return true
	}
	if mac, fdb := o["mac"].(string); fdb {
		hw, err := net.ParseMAC(mac)
		return err == nil && hw[0]&1 == 1 && o["dst"] == nil || o["state"] != "permanent" && o["state"] != "static"
	}
	dst, _ := o["dst"].(string)
	return o["protocol"] == "kernel" &&
		(o["type"] == "multicast" || o["type"] == "anycast" || strings.HasPrefix(dst, "fe80:"))
}

// volatile are the fields that say nothing about what somebody configured.
var volatile = []string{
	"ifindex", "link_index", "link_netnsid", "phys_port_id", "phys_switch_id", "parentbus", "parentdev",
	"hello_timer", "tcn_timer", "topology_change_timer", "gc_timer", "topology_change", "topology_change_detected",
	"message_age_timer", "forward_delay_timer", "hold_timer", "config_pending", "expires", "used", "updated", "confirmed",
	"probes",
	"operstate", "tentative", "tso_max_size", "tso_max_segs", "gso_max_size", "gso_max_segs", "gro_max_size",
}

// carrier are the flags that say whether the other end is there, not what this end is configured to
// be.
var carrier = []any{"LOWER_UP", "NO-CARRIER", "M-DOWN", "linkdown"}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, field := range volatile {
			delete(v, field)
		}
		// A bridge numbers its ports as they come, and lets them forward when it gets round to it.
		if _, port := v["hairpin"]; port {
			delete(v, "designated_port")
			delete(v, "state")
			delete(v, "id")
			delete(v, "no")
		}
		if flags, ok := v["flags"].([]any); ok {
			v["flags"] = slices.DeleteFunc(flags, func(f any) bool { return slices.Contains(carrier, f) })
		}
		if addrs, ok := v["addr_info"].([]any); ok {
			v["addr_info"] = slices.DeleteFunc(addrs, func(a any) bool { return a.(map[string]any)["scope"] == "link" })
		}
		for _, inner := range v {
			strip(inner)
		}
	case []any:
		for _, inner := range v {
			strip(inner)
		}
	}
}

// Firewall is the ruleset as iptables-save or ip6tables-save prints it, less counters, comments and
// built-in chains without a rule: iptables-nft leaves those behind whenever a table is touched.
func (n *Node) Firewall(tool string) string {
	n.lab.Helper()
	var kept []string
	for _, line := range strings.Split(n.Must(tool), "\n") {
		switch {
		case line == "", line == "COMMIT", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, ":"):
			if chain, _, _ := strings.Cut(line, " ["); !strings.HasSuffix(chain, " ACCEPT") {
				kept = append(kept, chain)
			}
		default:
			kept = append(kept, line)
		}
	}
	return filledTables(kept)
}

// filledTables joins the lines of a ruleset, less the headings of tables without anything in them.
func filledTables(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if strings.HasPrefix(line, "*") && (i+1 == len(lines) || strings.HasPrefix(lines[i+1], "*")) {
			continue
		}
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// sysctls are forwarding and every setting of every link, both families.
func (n *Node) sysctls() string {
	n.lab.Helper()
	var b strings.Builder
	n.lab.must(n.Do(func() error {
		for _, root := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf"} {
			err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				if data, err := os.ReadFile(path); err == nil { // stable_secret cannot be read before it is set
					fmt.Fprintf(&b, "%s = %s\n", strings.TrimPrefix(path, "/proc/sys/"), strings.TrimSpace(string(data)))
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return b.String()
}

// Files are the files below the node's root with their content, for a comparison of before and
// after.
func (n *Node) Files() map[string]string {
	n.lab.Helper()
	files := map[string]string{}
	n.lab.must(filepath.WalkDir(n.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, n.Root)] = string(data)
		return err
	}))
	return files
}
