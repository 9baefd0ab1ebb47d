package protocol

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
)

// serveText answers a call with an environment of "KEY=VALUE ..." without the CNI_.
func serveText(env, stdin string, verbs Verbs) string {
	values := map[string]string{}
	for _, pair := range strings.Fields(env) {
		key, value, _ := strings.Cut(pair, "=")
		values["CNI_"+key] = value
	}
	var out strings.Builder
	ok := serve(func(key string) string { return values[key] }, strings.NewReader(stdin), &out, verbs)
	return fmt.Sprintf("%t %s", ok, strings.TrimSpace(out.String()))
}

func TestServe(t *testing.T) {
	const (
		all  = "CONTAINERID=id NETNS=/ns IFNAME=eth0 PATH=/bin"
		conf = `{"cniVersion":"1.1.0","name":"net"}`
		old  = `{"cniVersion":"0.3.1","name":"net"}`
	)
	called := ""
	note := func(r *Request) error { called = r.Verb + " " + r.Network; return nil }
	verbs := Verbs{Add: func(r *Request) (*current.Result, error) { return &current.Result{}, note(r) }, Del: note, Check: note, GC: note}
	for _, c := range []struct{ env, stdin, want, called string }{
		{"COMMAND=VERSION", "", `true {"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}`, ""},
		{"COMMAND=VERSION", old, `true {"cniVersion":"0.3.1","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}`, ""},
		{"COMMAND=ADD " + all, conf, `true {"cniVersion": "1.1.0"}`, "ADD net"},
		{"COMMAND=DEL " + all, conf, "true ", "DEL net"},
		{"COMMAND=DEL CONTAINERID=id IFNAME=eth0 PATH=/bin", conf, "true ", "DEL net"},
		{"COMMAND=CHECK " + all, conf, "true ", "CHECK net"},
		{"COMMAND=CHECK " + all, old, `false {"cniVersion":"0.3.1","code":1,"msg":"config version 0.3.1 does not allow CHECK, which is since 0.4.0"}`, ""},
		{"COMMAND=GC PATH=/bin", conf, "true ", "GC net"},
		{"COMMAND=GC PATH=/bin", old, `false {"cniVersion":"0.3.1","code":1,"msg":"config version 0.3.1 does not allow GC, which is since 1.1.0"}`, ""},
		{"COMMAND=STATUS PATH=/bin", conf, "true ", ""}, // the plugin has none
		{"COMMAND=ADD CONTAINERID=id IFNAME=eth0", conf, `false {"cniVersion":"1.1.0","code":4,"msg":"required env variables [CNI_NETNS,CNI_PATH] missing"}`, ""},
		{"COMMAND=JUMP", conf, `false {"cniVersion":"1.1.0","code":4,"msg":"unknown CNI_COMMAND: \"JUMP\""}`, ""},
		{"COMMAND=JUMP", old, `false {"cniVersion":"0.3.1","code":4,"msg":"unknown CNI_COMMAND: \"JUMP\""}`, ""},
		{"COMMAND=ADD " + all + " CONTAINERID=../x", conf, `false {"cniVersion":"1.1.0","code":4,"msg":"invalid characters in CNI_CONTAINERID \"../x\""}`, ""},
		{"COMMAND=ADD " + all + " IFNAME=sixteencharacter", conf, `false {"cniVersion":"1.1.0","code":4,"msg":"CNI_IFNAME \"sixteencharacter\" is no interface name: at most 15 characters, no slash, colon or space"}`, ""},
		{"COMMAND=ADD " + all, `{"cniVersion":"1.1.0"}`, `false {"cniVersion":"1.1.0","code":7,"msg":"the network configuration's name \"\" is missing or has invalid characters"}`, ""},
		{"COMMAND=ADD " + all, `{"name":"net"}`, `true {"cniVersion": "0.1.0", "dns": {}}`, "ADD net"},
		{"COMMAND=DEL " + all, `{"name":"net","cniVersion":"2.0.0"}`, "true ", "DEL net"},
		{"COMMAND=CHECK " + all, `{"name":"net"}`, `false {"cniVersion":"0.1.0","code":1,"msg":"config version 0.1.0 does not allow CHECK, which is since 0.4.0"}`, ""},
		{"COMMAND=ADD " + all, `{"name":"net","cniVersion":"0.3"}`, `false {"cniVersion":"0.3","code":1,"msg":"incompatible CNI versions","details":"the configuration's cniVersion is \"0.3\", the plugin knows 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0: write one of these"}`, ""},
	} {
		called = ""
		if got := serveText(c.env, c.stdin, verbs); got != c.want || called != c.called {
			t.Errorf("%s %s:\ngot  %s (%s)\nwant %s (%s)", c.env, c.stdin, got, called, c.want, c.called)
		}
	}
}

// The code of an error is found however it is wrapped; what has none came out of the kernel.
func TestErrorCodes(t *testing.T) {
	base := Errorf(CodeExhausted, "full: %w", fs.ErrExist)
	for _, c := range []struct {
		err  error
		code uint
		msg  string
	}{
		{base, CodeExhausted, "full: file already exists"},
		{fmt.Errorf("bridge: %w", base), CodeExhausted, "bridge: full: file already exists"},
		{errors.Join(base, fs.ErrClosed), CodeExhausted, "full: file already exists\nfile already closed"},
		{fs.ErrClosed, CodeKernel, "file already closed"},
	} {
		if e := asError(c.err); e.Code != c.code || e.Msg != c.msg {
			t.Errorf("got %d %q, want %d %q", e.Code, e.Msg, c.code, c.msg)
		}
	}
	if !errors.Is(base, fs.ErrExist) {
		t.Error("the cause is lost")
	}
}

func TestParseArgs(t *testing.T) {
	for args, want := range map[string]string{
		"":                       "map[] <nil>",
		"IP=10.0.0.5":            "map[IP:10.0.0.5] <nil>",
		"IP=a=b;;":               "map[IP:a=b] <nil>",
		"X=1;IgnoreUnknown=1":    "map[IgnoreUnknown:1 X:1] <nil>",
		"IgnoreUnknown=true;X=1": "map[IgnoreUnknown:true X:1] <nil>",
		"X=1;IgnoreUnknown=0":    "map[] CNI_ARGS: unknown keys X (IgnoreUnknown=1 lets them pass)",
		"X=1;Y=2":                "map[] CNI_ARGS: unknown keys X, Y (IgnoreUnknown=1 lets them pass)",
		"IgnoreUnknown=perhaps":  "map[] CNI_ARGS: IgnoreUnknown=perhaps is neither 1 nor 0",
		"nonsense":               `map[] CNI_ARGS: "nonsense" is not KEY=VALUE`,
	} {
		values, err := ParseArgs(args, "IP")
		if got := fmt.Sprint(values, err); strings.Replace(got, "<nil>", "<nil>", 1) != want {
			t.Errorf("%q: got %s, want %s", args, got, want)
		}
	}
}
