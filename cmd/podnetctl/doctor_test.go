package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/test/lab"
)

// examined is what doctor finds on the host, less what the tests' own surroundings bring along.
func (h host) examined(code int) []document.Finding {
	h.t.Helper()
	var report document.Findings
	got := h.run(code, "doctor", "-o", "json")
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || report.Kind != "Findings" {
		h.t.Fatalf("%v in %s%s", err, got.stdout, got.stderr)
	}
	return report.Findings
}

// installPlugins puts programs of another make where the runtime looks.
func (h host) installPlugins() {
	h.t.Helper()
	for _, name := range plugins() {
		if err := os.Chmod(write(h.t, h.Path("/opt/cni/bin/"+name), "#!"), 0o755); err != nil {
			h.t.Fatal(err)
		}
	}
}

// sound is a host on which doctor finds nothing: in place, and the tunnel's port closed to
// strangers.
func sound(t *testing.T) host {
	t.Helper()
	h := newHost(t)
	h.installPlugins()
	h.Write(valid)
	h.runWith("", 0, "apply")
	h.Sh("iptables -I INPUT -p udp --dport 8472 -j DROP")
	h.Sh("iptables -I INPUT -s 192.0.2.12 -p udp --dport 8472 -j ACCEPT")
	if found := h.examined(0); len(found) > 0 {
		t.Fatalf("a sound host: %+v", found)
	}
	return h
}

// paste runs a remedy in a shell on the host, where the programs that talk to systemd do nothing
// and podnetctl is the lab's.
func (h host) paste(remedy string) {
	h.t.Helper()
	bin := h.t.TempDir()
	for _, name := range []string{"systemctl", "networkctl", "udevadm"} {
		write(h.t, filepath.Join(bin, name), "#!/bin/sh\n")
		if err := os.Chmod(filepath.Join(bin, name), 0o755); err != nil {
			h.t.Fatal(err)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s --root %s --node %s \"$@\"\n", lab.Program("podnetctl"), h.Root, h.Host)
	if err := os.Chmod(write(h.t, filepath.Join(bin, "podnetctl"), script), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if out := h.Execute("env", "PATH="+bin+":"+os.Getenv("PATH"), "sh", "-ec", remedy); out.Code != 0 {
		h.t.Errorf("%s: exit code %d: %s%s", remedy, out.Code, out.Stdout, out.Stderr)
	}
}

// Each trouble is named, and its remedy, pasted, ends it.
func TestDoctor(t *testing.T) {
	unit := func(name string) func(host) {
		return func(h host) {
			if err := os.MkdirAll(h.Path("/sys/fs/cgroup/system.slice/"+name), 0o755); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	sh := func(lines ...string) func(host) {
		return func(h host) {
			for _, line := range lines {
				h.Sh(line)
			}
		}
	}
	file := func(path, content string) func(host) { return func(h host) { h.WriteFile(path, content) } }
	mode := func(path string, mode os.FileMode) func(host) {
		return func(h host) {
			if err := os.Chmod(h.Path(path), mode); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	and := func(all ...func(host)) func(host) {
		return func(h host) {
			for _, do := range all {
				do(h)
			}
		}
	}
	const networkd, manager = "systemd-networkd.service", "NetworkManager.service"
	const leaves = "[Network]\nManageForeignRoutes=no\n"
	open := func(lines ...string) func(host) { // a tunnel that believes anybody, behind a host's firewall
		return func(h host) {
			h.Write(strings.Replace(valid, "nodes:", "network: {vxlan: {onlyPeers: false}}\nnodes:", 1))
			h.runWith("", 0, "apply")
			sh(append([]string{"iptables -F INPUT"}, lines...)...)(h)
		}
	}
	for _, c := range []struct {
		name, id string
		severity document.Severity
		trouble  func(host)
	}{
		{"a route in the place of podnet's", "foreign-route", document.SeverityError, and(sh("ip route del 10.244.1.0/24"), func(h host) {
			h.Sh(fmt.Sprintf("ip route add 10.244.1.0/24 via 192.0.2.1 metric %d", 100))
		})},
		{"a route to a part of a peer's pods", "foreign-route", document.SeverityError, sh("ip route add 10.244.1.128/25 via 192.0.2.1 proto static")},
		{"a blackhole", "foreign-route", document.SeverityError, sh("ip route add blackhole 10.244.1.0/25")},
		{"an IPv6 route", "foreign-route", document.SeverityError, sh("ip -6 route add fd00:10:244:1::/80 via 2001:db8::1")},
		{"an address of a peer's pods", "foreign-route", document.SeverityError, sh("ip link add br9 type bridge", "ip link set br9 up", "ip addr add 10.244.1.1/25 dev br9")},
		{"an address of this node's pods", "foreign-address", document.SeverityError, sh("ip link add br9 type bridge", "ip addr add 10.244.0.1/24 dev br9")},
		{"an IPv6 address of this node's pods", "foreign-address", document.SeverityError, sh("ip addr add fd00:10:244::7/128 dev eth0 nodad")},
		{"the bridge made by others", "foreign-link", document.SeverityError, sh("ip link set cni0 group 0")},
		{"the tunnel's vni taken", "foreign-link", document.SeverityError, sh("ip link del podnet.1", "ip link add flannel.1 type vxlan id 1 dstport 8472 nolearning")},
		{"a rule ahead of podnet's", "foreign-chain", document.SeverityError, sh("iptables -I FORWARD -j REJECT")},
		{"a rule about pods ahead of podnet's", "foreign-chain", document.SeverityError, sh("iptables -I FORWARD -d 10.244.1.0/24 -j REJECT")},
		{"a chain that drops ahead of podnet's", "foreign-chain", document.SeverityError, sh("ip6tables -N UC", "ip6tables -A UC -j DROP", "ip6tables -I FORWARD -j UC")},
		{"a rule that rewrites pods' addresses", "foreign-chain", document.SeverityError, sh("iptables -t nat -A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE")},
		{"a base chain that drops", "foreign-chain", document.SeverityError, sh("nft add table inet fw", "nft add chain inet fw across { type filter hook forward priority 5 ; policy drop ; }")},
		{"a base chain that keeps the tunnel out", "foreign-chain", document.SeverityError, sh("nft add table inet fw", "nft add chain inet fw inwards { type filter hook input priority 5 ; policy drop ; }")},
		{"INPUT closed", "input-closed", document.SeverityError, sh("iptables -F INPUT", "iptables -P INPUT DROP")},
		{"INPUT closed on the underlay", "input-closed", document.SeverityError, sh("iptables -I INPUT -i eth0 -j DROP")},
		{"INPUT open", "input-open", document.SeverityWarning, open()},
		{"INPUT open but for kubelet's rule about loopback addresses", "input-open", document.SeverityWarning, open("iptables -N KUBE-FIREWALL",
			"iptables -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP", "iptables -A INPUT -j KUBE-FIREWALL")},
		{"kube-proxy's rules, and a bridge that passes them by", "service-proxy", document.SeverityWarning, sh("sysctl -w net.bridge.bridge-nf-call-iptables=0", "iptables -t nat -N KUBE-SERVICES")},
		{"kube-proxy's nftables, and a bridge that passes them by", "service-proxy", document.SeverityWarning, sh("sysctl -w net.bridge.bridge-nf-call-ip6tables=0",
			"nft add table ip6 kube-proxy", "nft add chain ip6 kube-proxy services")},
		{"another conflist first", "conflist-order", document.SeverityError, file("/etc/cni/net.d/05-other net.conflist", "{}")},
		{"somebody else's conflist in place", "foreign-conflist", document.SeverityError, file(lab.ConflistPath, `{"cniVersion":"1.0.0","name":"x","plugins":[{"type":"bridge"}]}`)},
		{"strict reverse path filter", "rp-filter", document.SeverityWarning, func(h host) { h.SetSysctl("net/ipv4/conf/podnet.1/rp_filter", "1") }},
		{"strict reverse path filter on the underlay", "rp-filter", document.SeverityWarning, func(h host) { h.SetSysctl("net/ipv4/conf/eth0/rp_filter", "1") }},
		{"strict reverse path filter on all links", "rp-filter", document.SeverityWarning, func(h host) { h.SetSysctl("net/ipv4/conf/all/rp_filter", "1") }},
		{"the tunnel's port taken by another tunnel", "tunnel-port", document.SeverityError, sh("ip link set podnet.1 down",
			"ip link add cilium_vxlan type vxlan external dstport 8472", "ip link set cilium_vxlan up")},
		{"the tunnel's port taken by a tunnel with other flags", "tunnel-port", document.SeverityError, sh("ip link set podnet.1 down",
			"ip link add other.9 type vxlan id 9 dstport 8472 gbp", "ip link set other.9 up")},
		{"the tunnel's port taken by a program", "tunnel-port", document.SeverityError, and(sh("ip link set podnet.1 down"), func(h host) { h.TakePort(8472) })},
		{"an underlay that does not forward", "forwarding-off", document.SeverityWarning, func(h host) { h.SetSysctl("net/ipv4/conf/eth0/forwarding", "0") }},
		{"no policy rule for main", "policy-rule", document.SeverityError, sh("ip rule del pref 32766")},
		{"a policy rule of a VPN", "policy-rule", document.SeverityError, sh("ip route add default via 192.0.2.254 dev eth0 table 52", "ip rule add pref 5270 not fwmark 0x80000/0xff0000 lookup 52")},
		{"a policy rule of a cloud's agent", "policy-rule", document.SeverityError, sh("ip route add default via 192.0.2.254 dev eth0 table 30200", "ip rule add pref 30200 from 192.0.2.11 lookup 30200")},
		{"an IPsec policy", "ipsec-policy", document.SeverityError, sh("ip xfrm policy add src 10.0.0.0/8 dst 10.0.0.0/8 dir out action block")},
		{"rules of iptables-legacy", "iptables-mixed", document.SeverityWarning, sh("iptables-legacy -A FORWARD -s 198.51.100.1 -j DROP")},
		{"iptables-legacy drops", "iptables-mixed", document.SeverityError, sh("iptables-legacy -P FORWARD DROP")},
		{"an underlay too small", "underlay-mtu", document.SeverityError, and(file(lab.TopologyPath, strings.Replace(valid, "nodes:", "network: {mtu: 1480}\nnodes:", 1)), func(h host) { h.run(0, "apply") })},
		{"networkd removes routes", "networkd-foreign-routes", document.SeverityError, unit(networkd)},
		{"a drop-in makes networkd remove routes", "networkd-foreign-routes", document.SeverityError, and(unit(networkd), file("/etc/systemd/networkd.conf", leaves),
			file("/usr/lib/systemd/networkd.conf.d/05-vendor.conf", "[Network]\nManageForeignRoutes = yes\n"))},
		{"networkd takes every link", "networkd-manages", document.SeverityError, and(unit(networkd), file("/etc/systemd/networkd.conf", leaves),
			file("/usr/lib/systemd/network/05-all.network", "[Match]\nName=*\n[Network]\nDHCP=yes\n"))},
		{"udev gives every link a MAC", "mac-address-policy", document.SeverityError, file("/etc/systemd/network/00-mac.link", "[Match]\nOriginalName=*\n[Link]\nMACAddressPolicy=random\n")},
		{"udev gives other's devices a MAC", "mac-address-policy", document.SeverityWarning, file("/etc/systemd/network/99-mac.link", "[Match]\nOriginalName=*\n[Link]\nMACAddressPolicy=persistent\n")},
		{"NetworkManager", "networkmanager-manages", document.SeverityWarning, unit(manager)},
		{"a plugin that nobody may execute", "plugin-not-executable", document.SeverityError, mode("/opt/cni/bin/portmap", 0o644)},
		{"plugins that are not there", "plugin-missing", document.SeverityError, func(h host) {
			if err := os.RemoveAll(h.Path("/opt/cni/bin")); err != nil {
				h.t.Fatal(err)
			}
		}},
		{"a topology that others can write", "file-writable", document.SeverityWarning, mode(lab.TopologyPath, 0o666)},
		{"a directory that others can write", "file-writable", document.SeverityWarning, mode("/etc/cni/net.d", 0o777)},
		{"a last good topology that others can write", "file-writable", document.SeverityWarning, mode(lab.LastGoodPath, 0o646)},
		{"a checkout that others can write", "file-writable", document.SeverityWarning, func(h host) {
			write(h.t, h.Path("/srv/check out/topology.yaml"), valid)
			mode("/srv/check out", 0o777)(h)
			h.t.Chdir(h.Path("/etc/podnet"))
			if err := errors.Join(os.Remove("topology.yaml"), os.Symlink("../../srv/check out/topology.yaml", "topology.yaml")); err != nil {
				h.t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := sound(t)
			c.trouble(h)
			code := map[document.Severity]int{document.SeverityError: 1, document.SeverityWarning: 0}[c.severity]
			found := h.examined(code)
			if !slices.ContainsFunc(found, func(f document.Finding) bool { return f.ID == c.id }) {
				t.Fatalf("not found: %+v", found)
			}
			for _, f := range found {
				consequence := strings.HasPrefix(f.ID, "node-") // of what is found besides
				if f.ID != c.id && !consequence || f.Severity != c.severity || f.Object == "" || f.Owner == "" || f.Message == "" {
					t.Errorf("finding %+v", f)
				}
				t.Logf("%s %s: %s: %s\n  fix: %s", f.ID, f.Object, f.Owner, f.Message, f.Remedy)
				h.paste(f.Remedy)
			}
			if found := h.examined(0); len(found) > 0 {
				t.Errorf("after the remedy: %+v", found)
			}
		})
	}
}

// A node on which no pod can start is an error in itself, whatever the cause and whether anything
// else is found: without a topology, before the first pass, without iptables in PATH.
func TestDoctorOnANodeThatDoesNotWork(t *testing.T) {
	h := newHost(t)
	h.installPlugins()
	says := func(when, id, message string) {
		t.Helper()
		found := h.examined(1)
		if !slices.ContainsFunc(found, func(f document.Finding) bool {
			return f.ID == id && f.Severity == document.SeverityError && strings.Contains(f.Message, message)
		}) {
			t.Errorf("%s: no %s with %q: %+v", when, id, message, found)
		}
	}
	says("without a topology", "node-not-ready", "topology.yaml")
	h.Write(valid)
	says("before the first pass", "node-not-ready", "still to be done")
	h.runWith("", 0, "apply")
	h.examined(0)
	t.Setenv("PATH", lab.ProgramsWithout(t, "iptables", "ip6tables"))
	says("without iptables", "node-not-ready", "install the package iptables")
}

// A tunnel of other people that shares the port, and one of another port, are in nobody's way: what
// is said of a tunnel that is down is that it is down.
func TestPortShared(t *testing.T) {
	h := sound(t)
	h.Sh("ip link set podnet.1 down")
	h.Sh("ip link add other.9 type vxlan id 9 dstport 8472")
	h.Sh("ip link add other.10 type vxlan external dstport 4789")
	h.Sh("ip link set other.9 up")
	h.Sh("ip link set other.10 up")
	for _, f := range h.examined(1) {
		if f.ID != "node-not-ready" {
			t.Errorf("finding %+v", f)
		}
	}
	h.runWith("", 0, "apply")
	h.examined(0)
}

// A pass says once what iptables cannot do, for whatever family and chain, and writes what it can:
// a kernel without masquerading forwards all the same.
func TestIPTablesThatCannot(t *testing.T) {
	const noMasquerade = `input=$(cat)
case $input in *MASQUERADE*)
	echo "Warning: Extension MASQUERADE revision 0 not supported, missing kernel module?" >&2
	echo "${0##*/} v1.8.9 (nf_tables): line 7: RULE_APPEND failed (No such file or directory)" >&2
	exit 4;;
esac
printf '%s\n' "$input" | exec "/usr/sbin/${0##*/}" "$@"`
	for _, c := range []struct {
		name, program, script, says string
		forwards                    bool
	}{
		{"too old", "iptables", "echo iptables v1.6.1", "iptables 1.6.1 is too old: install 1.8 or newer", false},
		{"no masquerading", "iptables-restore", noMasquerade, "this kernel has no MASQUERADE for iptables: modprobe xt_MASQUERADE, or ", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, bin := newHost(t), t.TempDir()
			h.Write(valid)
			for _, name := range []string{c.program, "ip6" + strings.TrimPrefix(c.program, "ip")} {
				if err := os.Chmod(write(t, filepath.Join(bin, name), "#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			path := os.Getenv("PATH")
			t.Setenv("PATH", bin+":"+path)
			h.run(1, "apply")
			status, err := agent.ReadStatus(h.Path("/run/podnet/status.json"))
			if err != nil {
				t.Fatal(err)
			}
			message := status.Condition(document.Degraded).Message
			if strings.Count(message, c.says) != 1 || strings.Contains(message, "more") {
				t.Errorf("not once %q: %s", c.says, message)
			}
			t.Setenv("PATH", path)
			if save := h.Must("iptables-save", "-t", "filter"); strings.Contains(save, "-A FORWARD -j PODNET-FORWARD") != c.forwards {
				t.Errorf("PODNET-FORWARD: want %v:\n%s", c.forwards, save)
			}
		})
	}
}

// Without a topology, with one that is not valid, and without root doctor looks at what it can, and
// says what it cannot.
func TestDoctorInTheDark(t *testing.T) {
	h := newHost(t)
	h.installPlugins()
	h.WriteFile("/etc/cni/net.d/05-other.conflist", "{}")
	got := h.run(1, "doctor")
	for _, want := range []string{"conflist-order", "05-other.conflist", "Not seen", "topology.yaml"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("without a topology no %q:\n%s", want, got.stdout)
		}
	}
	h.Write(invalid)
	if got := h.run(1, "doctor"); !strings.Contains(got.stdout, "topology-refused") || !strings.Contains(got.stdout, "192.0.2.300") {
		t.Errorf("with a bad topology:\n%s", got.stdout)
	}
	out := h.Execute("setpriv", "--bounding-set=-all", "--inh-caps=-all", lab.Program("podnetctl"), "--root", h.Root, "doctor")
	if out.Code != 1 || !strings.Contains(out.Stdout, "conflist-order") || !strings.Contains(out.Stdout, "CAP_NET_ADMIN") {
		t.Errorf("without capabilities: exit code %d:\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
}

// A bundle holds what a ticket needs, for its owner alone, and replaces nothing.
func TestDoctorBundle(t *testing.T) {
	h := sound(t)
	const secret = "2001:db8:5ec4:e7::1"
	h.SetSysctl("net/ipv6/conf/eth0/stable_secret", secret)
	other := filepath.Join(filepath.Dir(h.Path(lab.ConflistPath)), "90-other.conf")
	write(t, other, `{"name": "other", "cniVersion": "0.3.1", "type": "calico", "policy": {"token": "5ec4e7"}}`)
	path := h.Path("/ticket.tar.gz")
	got := h.run(0, "doctor", "--bundle", path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	files := unpack(t, path)
	for name, holds := range map[string]string{
		"findings.json": "Findings", "status.json": "NodeStatus", "plan.json": "Plan", "files" + h.Path(lab.TopologyPath): "podCIDRs",
		"files" + h.Path(lab.ConflistPath): "bridge", "commands/ip_-d_-s_link.txt": "podnet.1", "commands/nft_list_ruleset.txt": "PODNET-FORWARD",
		"commands/iptables-save_-c.txt": "PODNET-MASQUERADE", "commands/bridge_fdb.txt": "192.0.2.12", "version.txt": "devel", "outlines" + other: `"type": "calico"`,
	} {
		if !strings.Contains(files["podnet-doctor/"+name], holds) {
			t.Errorf("%s does not hold %q: %.300q", name, holds, files["podnet-doctor/"+name])
		}
		if !strings.Contains(got.stderr, name) {
			t.Errorf("%s is not said to be in it:\n%s", name, got.stderr)
		}
	}
	for name, content := range files {
		if strings.Contains(content, "5ec4") {
			t.Errorf("a secret is in %s", name)
		}
	}
	if !strings.Contains(files["podnet-doctor/commands/sysctl_-a_-r.txt"], "net.ipv4.ip_forward = 1") {
		t.Errorf("no sysctls: %.300q", files["podnet-doctor/commands/sysctl_-a_-r.txt"])
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h.run(2, "doctor", "--bundle", path)
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a file was replaced: %v", err)
	}
	h.run(2, "doctor", "--bundle", h.Path("/none/ticket.tar.gz"))
	if _, err := os.Stat(h.Path("/none")); err == nil {
		t.Error("a directory was made for a bundle")
	}
	left, err := filepath.Glob(h.Path("/.ticket*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(data)
	}
}

// The screen keeps a remedy whole on its line.
func TestDoctorScreen(t *testing.T) {
	h := sound(t)
	if got := h.run(0, "doctor"); !strings.Contains(got.stdout, "nothing found") {
		t.Errorf("a sound host:\n%s", got.stdout)
	}
	h.Sh("iptables -F INPUT")
	for _, f := range h.examined(0) {
		if got := h.run(0, "doctor"); !slices.Contains(strings.Split(got.stdout, "\n"), "  fix     "+f.Remedy) || !strings.Contains(got.stdout, "0 errors, 1 warning") {
			t.Errorf("no line with %q:\n%s", f.Remedy, got.stdout)
		}
	}
}
