package delegate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// Add has the plugin do an ADD and returns its result.
func Add(req *protocol.Request, plugin string) (*current.Result, error) {
	out, err := run(req, plugin, "ADD")
	if err != nil {
		return nil, err
	}
	result, err := protocol.ParseResult(out)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: its result: %w", plugin, err)
	}
	return result, nil
}

// Del has the plugin do a DEL, also during an ADD that failed.
func Del(req *protocol.Request, plugin string) error {
	_, err := run(req, plugin, "DEL")
	return err
}

// Check has the plugin do a CHECK.
func Check(req *protocol.Request, plugin string) error {
	_, err := run(req, plugin, "CHECK")
	return err
}

// GC has the plugin do a GC.
func GC(req *protocol.Request, plugin string) error { return optional(run(req, plugin, "GC")) }

// Status has the plugin do a STATUS.
func Status(req *protocol.Request, plugin string) error {
	return optional(run(req, plugin, "STATUS"))
}

// optional takes a plugin that is older than the verb for one that has nothing to say.
func optional(_ []byte, err error) error {
	var said *protocol.Error
	if !errors.As(err, &said) {
		return err
	}
	if said.Code == protocol.CodeEnvironment || said.Code == protocol.CodeVersion {
		return nil
	}
	return err
}

// run gives the plugin the environment and the configuration that this one got, with another verb.
func run(req *protocol.Request, plugin, verb string) ([]byte, error) {
	path, err := find(req.Path, plugin)
	if err != nil {
		return nil, err
	}
	var stdout bytes.Buffer
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+verb)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(req.Stdin), &stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, failure(plugin, stdout.Bytes(), err)
	}
	return stdout.Bytes(), nil
}

// failure passes on what the plugin says, with its code.
func failure(plugin string, stdout []byte, err error) error {
	var said struct {
		Code         uint
		Msg, Details string
	}
	if json.Unmarshal(stdout, &said) != nil || said.Msg == "" {
		return protocol.Errorf(protocol.CodeIO, "plugin %s: %w: %s", plugin, err,
			bytes.TrimSpace(stdout))
	}
	msg := "plugin " + plugin + ": " + said.Msg
	return &protocol.Error{Code: said.Code, Msg: msg, Details: said.Details}
}

// find looks for the plugin in the directories of CNI_PATH.
func find(path, plugin string) (string, error) {
	if strings.ContainsRune(plugin, '/') {
		return "", protocol.Errorf(protocol.CodeConfig,
			"plugin type %q has a slash: it is a file name, looked for in CNI_PATH", plugin)
	}
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, plugin)
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() {
			return full, nil
		}
	}
	return "", protocol.Errorf(protocol.CodeConfig,
		"plugin %s is in no directory of CNI_PATH %s: install it there", plugin, path)
}
