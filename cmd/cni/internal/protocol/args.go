package protocol

import (
	"slices"
	"strconv"
	"strings"
)

// ParseArgs reads CNI_ARGS, `KEY=VALUE;KEY=VALUE`. A key that is not among the known ones is an
// error, unless the runtime says IgnoreUnknown=1.
func ParseArgs(args string, known ...string) (map[string]string, error) {
	values := map[string]string{}
	var unknown []string
	for _, pair := range strings.Split(args, ";") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, Errorf(CodeEnvironment, "CNI_ARGS: %q is not KEY=VALUE", pair)
		}
		values[key] = value
		if key != "IgnoreUnknown" && !slices.Contains(known, key) {
			unknown = append(unknown, key)
		}
	}
	ignore, err := strconv.ParseBool(values["IgnoreUnknown"])
	if values["IgnoreUnknown"] != "" && err != nil {
		return nil, Errorf(CodeEnvironment, "CNI_ARGS: IgnoreUnknown=%s is neither 1 nor 0",
			values["IgnoreUnknown"])
	}
	if len(unknown) > 0 && !ignore {
		return nil, Errorf(CodeEnvironment,
			"CNI_ARGS: unknown keys %s (IgnoreUnknown=1 lets them pass)",
			strings.Join(unknown, ", "))
	}
	return values, nil
}
