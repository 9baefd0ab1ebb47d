package protocol

import (
	"io"
	"slices"
	"strings"
)

// Request is one call of a plugin. The configuration has a name and, unless the call is a DEL, a
// cniVersion that podnet knows.
type Request struct {
	Verb        string
	ContainerID string
	Netns       string
	IfName      string
	Args        string // CNI_ARGS
	Path        string // CNI_PATH

	Stdin   []byte // the configuration as it is written
	Config  Object // the same, read once for everybody
	Network string // the configuration's name
	Version string // its cniVersion, 0.1.0 if it has none; "" if there is no configuration
}

// variables are the environment's, with the verbs that need them.
var variables = []struct {
	name  string
	field func(*Request) *string
	verbs string
}{
	{"CNI_COMMAND", func(r *Request) *string { return &r.Verb }, "ADD DEL CHECK GC STATUS VERSION"},
	{"CNI_CONTAINERID", func(r *Request) *string { return &r.ContainerID }, "ADD DEL CHECK"},
	{"CNI_NETNS", func(r *Request) *string { return &r.Netns }, "ADD CHECK"},
	{"CNI_IFNAME", func(r *Request) *string { return &r.IfName }, "ADD DEL CHECK"},
	{"CNI_PATH", func(r *Request) *string { return &r.Path }, "ADD DEL CHECK GC STATUS"},
	{"CNI_ARGS", func(r *Request) *string { return &r.Args }, ""},
}

// readRequest reads the environment and the configuration once. It reads the configuration
// whatever the environment lacks, as errors carry its cniVersion.
func readRequest(getenv func(string) string, stdin io.Reader) (*Request, error) {
	r := &Request{}
	unreadable := r.readConfig(stdin)
	var missing []string
	for _, v := range variables {
		value := getenv(v.name)
		*v.field(r) = value
		if value == "" && slices.Contains(strings.Fields(v.verbs), r.Verb) {
			missing = append(missing, v.name)
		}
	}
	if len(missing) > 0 {
		return r, Errorf(CodeEnvironment, "required env variables [%s] missing",
			strings.Join(missing, ","))
	}
	if !slices.Contains(strings.Fields(variables[0].verbs), r.Verb) {
		return r, Errorf(CodeEnvironment, "unknown CNI_COMMAND: %q", r.Verb)
	}
	if r.Verb == "VERSION" {
		return r, nil
	}
	if err := r.checkNames(); err != nil {
		return r, err
	}
	if unreadable != nil {
		return r, unreadable
	}
	return r, r.checkConfig()
}

func (r *Request) checkNames() error {
	if !slices.Contains([]string{"ADD", "DEL", "CHECK"}, r.Verb) {
		return nil
	}
	if !validID(r.ContainerID) {
		return Errorf(CodeEnvironment, "invalid characters in CNI_CONTAINERID %q", r.ContainerID)
	}
	if n := r.IfName; len(n) > 15 || n == "." || n == ".." || strings.ContainsAny(n, "/: \t\n\v\f\r") {
		return Errorf(CodeEnvironment,
			"CNI_IFNAME %q is no interface name: "+
				"at most 15 characters, no slash, colon or space", n)
	}
	return nil
}

func (r *Request) readConfig(stdin io.Reader) error {
	text, err := io.ReadAll(stdin)
	if err != nil {
		return Errorf(CodeIO, "read the configuration from standard input: %w", err)
	}
	r.Stdin, r.Config = text, ReadObject("the network configuration", text)
	r.Config.String("cniVersion", &r.Version)
	r.Config.String("name", &r.Network)
	if err := r.Config.Err(); err != nil {
		return Errorf(CodeDecode,
			"the network configuration is not JSON as the specification wants it: %w", err)
	}
	if r.Version == "" {
		r.Version = unversioned
	}
	return nil
}

func (r *Request) checkConfig() error {
	if err := r.checkVersion(); err != nil {
		return err
	}
	if !validID(r.Network) {
		return Errorf(CodeConfig,
			"the network configuration's name %q is missing or has invalid characters", r.Network)
	}
	return nil
}

// validID reports whether s is ^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$. A regular expression would cost each
// call its compilation.
func validID(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alphanumeric && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return s != ""
}
