package screen

import (
	"bytes"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/document"
)

// misdirected is a way whose frames go to the wrong node.
func misdirected() document.Explanation {
	return document.Explanation{
		From: "10.244.17.5", Pod: "default/web-7f9c", To: "10.244.42.9", Node: "node-42", Broken: 5,
		Hops: []document.Hop{
			{N: 1, Kind: "pod", Detail: "eth0 up mtu 1450, default via 10.244.17.1", State: document.HopOK},
			{N: 2, Kind: "port", Detail: "veth3c1f0a9e4d2 on cni0, forwarding", State: document.HopOK},
			{N: 3, Kind: "route", Detail: "10.244.42.0/24 via 10.244.42.0 dev podnet.1", State: document.HopOK, Note: "rule 32766, table main"},
			{N: 4, Kind: "neighbour", Detail: "10.244.42.0 at 0a:58:77:02:be:19 permanent", State: document.HopOK},
			{N: 5, Kind: "fdb", Detail: "0a:58:77:02:be:19 dst 192.0.2.66", State: document.HopWrong, Want: "192.0.2.52"},
			{N: 6, Kind: "underlay", Detail: "192.0.2.52 dev eno1 src 192.0.2.27 mtu 1500", State: document.HopOK, Note: "1450 + 50 fits"},
			{N: 7, Kind: "firewall", Detail: "FORWARD, udp/8472 out and in", State: document.HopOK},
			{N: 8, Kind: "probe", Detail: "node-42's gateway 10.244.42.1, 3 of 3 lost", State: document.HopLost, Note: "from 10.244.17.5"},
		},
		Cause: "frames for node-42 go to 192.0.2.66 (no node of this cluster); topology.yaml:213",
		Fix:   "podnetctl apply", Note: "podnetd does not run: nothing heals this",
		Return: "podnetctl explain --from 10.244.42.9 --probe 10.244.17.5", ReturnOn: "node-42",
	}
}

// rejected has words too long for every column, and a fix of several commands.
func rejected() document.Explanation {
	e := misdirected()
	e.Broken, e.Note = 7, ""
	e.Hops[6] = document.Hop{N: 7, Kind: "firewall", State: document.HopWrong, Want: "let it pass",
		Detail: "inet firewalld filter_FORWARD_POLICIES rule 12: iifname cni0 oifname podnet.1 saddr 10.244.0.0/16 reject"}
	e.Fix = "nft insert rule inet firewalld filter_FORWARD iifname cni0 accept && nft insert rule inet firewalld filter_FORWARD oifname cni0 accept"
	return e
}

func TestExplainScreens(t *testing.T) {
	fine := misdirected()
	fine.Broken, fine.Cause, fine.Fix, fine.Note = 0, "", "", ""
	fine.Hops = fine.Hops[:4]
	for name, c := range map[string]struct {
		document.Explanation
		Style
	}{
		"explain": {misdirected(), Style{}}, "explain-narrow": {misdirected(), Style{Width: 80}}, "explain-long": {rejected(), Style{}},
		"explain-fine": {fine, Style{}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteExplanation(&b, c.Style, c.Explanation); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.String())
			checkLines(t, b.String())
		})
	}
	t.Run("all", func(t *testing.T) {
		var b bytes.Buffer
		if err := WriteExplanations(&b, Style{}, []document.Explanation{fine, misdirected(), rejected()}); err != nil {
			t.Fatal(err)
		}
		golden(t, "explain-all", b.String())
		checkLines(t, b.String())
	})
}

// A command with quotes is pasted as it is, however long.
func TestQuotedFixStaysWhole(t *testing.T) {
	e := rejected()
	e.Fix = `iptables -t filter -D FORWARD -i cni0 -m comment --comment "` + strings.Repeat("of the security team ", 6) + `" -j DROP`
	var b bytes.Buffer
	if err := WriteExplanation(&b, Style{}, e); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), e.Fix) {
		t.Errorf("broken:\n%s", b.String())
	}
}

func TestPodsScreen(t *testing.T) {
	for name, pods := range map[string][]Pod{
		"pods-none": nil,
		"pods": {
			{Name: "default/web-7f9c", Container: "79a65a27b960e", HostVeth: "vethdc653b455c8", Since: "12d", Addresses: []string{"10.244.17.5", "fd00:10:244:11::5"}},
			{Name: "kube-system/a-name-that-is-much-longer-than-the-column-which-it-has-on-a-screen-of-98", Container: "79a65a27b960f", HostVeth: "vethdc653b455c9",
				Since: "4s", Addresses: []string{"10.244.17.6"}, Trouble: "vethdc653b455c9 is no port of cni0 (podnetctl apply)"},
			{Container: "79a65a27b9610", Since: "3h", Addresses: []string{"10.244.17.7"},
				Trouble: "its host veth is missing: it has ended, or cannot talk to anybody (podnetctl gc frees its addresses)"},
			{HostVeth: "vethother"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WritePods(&b, Style{}, pods); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.String())
			checkLines(t, b.String())
		})
	}
}

func TestWatchScreen(t *testing.T) {
	s := drifting()
	s.LastHealed[0].By = "ip (pid 4711)"
	for i := range s.Conditions {
		s.Conditions[i].LastTransitionTime = s.Now.Add(-370e9)
	}
	var b bytes.Buffer
	if err := WriteWatch(&b, Style{}, s, []document.PassStatus{s.LastPass, {At: s.Now.Add(-34e9), DurationSeconds: 0.002}}); err != nil {
		t.Fatal(err)
	}
	golden(t, "watch", b.String())
	checkLines(t, b.String())
}
