package protocol

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	current "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"
)

// Verbs are what a plugin does. One that is nil succeeds without doing anything.
type Verbs struct {
	Add    func(*Request) (*current.Result, error)
	Del    func(*Request) error
	Check  func(*Request) error
	Status func(*Request) error
	GC     func(*Request) error
}

// Main answers the one call that this process was started for and ends it. version is as the linker
// wrote it: podnet-plugin[V], so that V can be read from the file without executing it.
func Main(plugin, version string, verbs Verbs) {
	if os.Getenv("CNI_COMMAND") == "" {
		fmt.Fprintf(os.Stderr, "podnet CNI plugin %s %s\nCNI protocol versions supported: %s\n",
			plugin, marked(version), strings.Join(versions, ", "))
		return
	}
	ok := false
	onWideStack(func() { ok = serve(os.Getenv, input(), os.Stdout, verbs) })
	if !ok {
		os.Exit(1)
	}
}

// marked returns what stands between the brackets of a version, or all of it if there are none.
func marked(version string) string {
	_, inner, ok := strings.Cut(version, "[")
	if !ok {
		return version
	}
	return strings.TrimSuffix(inner, "]")
}

// input returns standard input. It returns nothing to read if that is a terminal, where somebody
// asks for the version and waits for the answer.
func input() io.Reader {
	if _, err := unix.IoctlGetTermios(unix.Stdin, unix.TCGETS); err == nil {
		return strings.NewReader("")
	}
	return os.Stdin
}

// onWideStack calls f on a stack that is as large as any plugin's gets. The runtime would double it
// again and again, each time with a walk over all frames and through the tables that describe them:
// more than the addresses of a pod take.
//
//go:noinline
func onWideStack(f func()) {
	if f == nil { // never: the array only makes room in the frame, and is not even cleared
		var room [24 << 10]byte
		runtime.KeepAlive(&room)
	}
	f()
}

// serve answers a call and reports whether it succeeded. Nothing but the answer is written to stdout.
func serve(getenv func(string) string, stdin io.Reader, stdout io.Writer, verbs Verbs) bool {
	req, err := readRequest(getenv, stdin)
	if err == nil {
		err = verbs.run(req, stdout)
	}
	if err != nil {
		printError(stdout, req, asError(err))
	}
	return err == nil
}

func (v Verbs) run(req *Request, stdout io.Writer) error {
	silent := map[string]func(*Request) error{
		"DEL": v.Del, "CHECK": v.Check, "STATUS": v.Status, "GC": v.GC,
	}
	switch req.Verb {
	case "VERSION":
		asked := versions[len(versions)-1]
		if slices.Contains(versions, req.Version) {
			asked = req.Version
		}
		_, err := fmt.Fprintf(stdout, `{"cniVersion":"%s","supportedVersions":["%s"]}`+"\n", asked,
			strings.Join(versions, `","`))
		return err
	case "ADD":
		result, err := v.Add(req)
		if err != nil {
			return err
		}
		return printResult(stdout, result, req.Version)
	}
	if f := silent[req.Verb]; f != nil {
		return f(req)
	}
	return nil
}

func printError(w io.Writer, req *Request, e *Error) {
	version := req.Version
	if version == "" {
		version = versions[len(versions)-1]
	}
	_ = printJSON(w, struct { // there is nobody else to tell
		CNIVersion string `json:"cniVersion"`
		Code       uint   `json:"code"`
		Msg        string `json:"msg"`
		Details    string `json:"details,omitempty"`
	}{version, e.Code, e.Msg, e.Details})
}

func printJSON(w io.Writer, v any) error {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return Errorf(CodeIO, "write the answer: %w", err)
	}
	return nil
}
