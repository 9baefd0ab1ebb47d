package protocol

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
)

// FuzzRequest gives the plugin any configuration and environment: it answers, and a failure is an
// error object.
func FuzzRequest(f *testing.F) {
	f.Add("ADD", "id", "eth0", "IgnoreUnknown=1", `{"cniVersion":"1.1.0","name":"net"}`)
	f.Add("GC", "", "", "", `{"cniVersion":"1.1.0","name":"net","cni.dev/valid-attachments":[{"containerID":"a","ifname":"b"}]}`)
	f.Add("CHECK", "id", "eth0", "", `{"cniVersion":"0.3.1","name":"net"}`)
	f.Fuzz(func(t *testing.T, verb, id, ifname, args, stdin string) {
		env := map[string]string{
			"CNI_COMMAND": verb, "CNI_CONTAINERID": id, "CNI_NETNS": "/ns", "CNI_IFNAME": ifname, "CNI_ARGS": args, "CNI_PATH": "/bin",
		}
		look := func(r *Request) error {
			_, err := ParseArgs(r.Args, "IP", "MAC")
			return err
		}
		verbs := Verbs{Check: look, Del: look, GC: look, Add: func(r *Request) (*current.Result, error) {
			return &current.Result{}, look(r)
		}}
		var out strings.Builder
		if serve(func(name string) string { return env[name] }, strings.NewReader(stdin), &out, verbs) {
			return
		}
		var said struct {
			CNIVersion, Msg string
			Code            uint
		}
		if err := json.Unmarshal([]byte(out.String()), &said); err != nil || said.Code == 0 || said.Msg == "" {
			t.Errorf("no error object: %v: %s", err, out.String())
		}
	})
}

// FuzzArgs reads any CNI_ARGS: keys and values, or an error that names the variable.
func FuzzArgs(f *testing.F) {
	for _, args := range []string{"", "IP=10.1.0.2", "IgnoreUnknown=1;K8S_POD_NAME=web", "IgnoreUnknown=x", ";;=;A", "MAC=02:00:00:00:00:01;MAC="} {
		f.Add(args)
	}
	f.Fuzz(func(t *testing.T, args string) {
		values, err := ParseArgs(args, "IP", "MAC")
		var e *Error
		switch {
		case err == nil && values == nil:
			t.Error("neither values nor an error")
		case err != nil && (!errors.As(err, &e) || e.Code != CodeEnvironment || !strings.Contains(e.Msg, "CNI_ARGS")):
			t.Errorf("%v", err)
		}
	})
}

// FuzzPrevResult reads any previous result in any version: a result that can be printed in it, or
// an error that says which field is wrong.
func FuzzPrevResult(f *testing.F) {
	for _, raw := range []string{
		`{"interfaces":[{"name":"br0"},{"name":"eth0","sandbox":"/ns"}],"ips":[{"address":"10.1.0.2/24","interface":1,"gateway":"10.1.0.1"}]}`,
		`{"ips":[{"version":"6","address":"fd00::2/64","interface":-1}],"routes":[{"dst":"::/0"}],"dns":{"nameservers":["::1"]}}`,
		`{"ips":[{"address":"10.1.0.2"}]}`, `{"ips":[null],"interfaces":[null],"routes":[null]}`, `null`, `[]`, `{"cniVersion":7}`,
	} {
		for i := range versions {
			f.Add(raw, i)
		}
	}
	f.Fuzz(func(t *testing.T, raw string, version int) {
		if version < 0 || version >= len(versions) {
			return
		}
		r := &Request{Version: versions[version], Config: ReadObject("the network configuration", []byte(`{"prevResult":`+raw+`}`))}
		if r.Config.Err() != nil {
			return // readRequest has refused it
		}
		result, err := r.PrevResult()
		var e *Error
		switch {
		case err != nil && (!errors.As(err, &e) || e.Code != CodeDecode || !strings.Contains(err.Error(), "prevResult")):
			t.Errorf("%v", err)
		case err == nil && result != nil:
			if err := printResult(&strings.Builder{}, result, r.Version); err != nil && !errors.As(err, &e) {
				t.Errorf("%v", err)
			}
		}
	})
}
