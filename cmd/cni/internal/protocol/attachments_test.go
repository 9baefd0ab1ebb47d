package protocol

import "testing"

// Only a list says what is in use: what a runtime leaves out must never be read as "nothing".
func TestValidAttachments(t *testing.T) {
	for conf, want := range map[string]struct {
		told  bool
		count int
		fails bool
	}{
		`{}`:                                 {},
		`{"cni.dev/valid-attachments":null}`: {},
		`{"cni.dev/valid-attachments":[]}`:   {told: true},
		`{"cni.dev/attachments":[]}`:         {told: true},
		`{"cni.dev/attachments":null}`:       {},
		`{"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}]}`:                                                           {told: true, count: 1},
		`{"cni.dev/valid-attachments":null,"cni.dev/attachments":[{"containerID":"a","ifname":"eth0"}]}`:                                {told: true, count: 1},
		`{"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"},{"containerID":"b","ifname":"x"}],"cni.dev/attachments":[]}`: {told: true, count: 2},
		`{"cni.dev/valid-attachments":[{"containerID":"a"}]}`:                                                                           {fails: true},
		`{"cni.dev/valid-attachments":{}}`:                                                                                              {fails: true},
	} {
		valid, told, err := (&Request{Config: ReadObject("the network configuration", []byte(conf))}).ValidAttachments()
		if told != want.told || len(valid) != want.count || (err != nil) != want.fails {
			t.Errorf("%s: %v %t %v", conf, valid, told, err)
		}
	}
	valid := Attachments{{"a", "eth0"}: true}
	if !valid.Has("a", "eth0") || !valid.Has("a", "") || valid.Has("a", "eth1") || valid.Has("b", "") {
		t.Error("Has")
	}
}
