package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

// Nothing of a file that is no topology is shown: who may run podnetctl as root may not read every
// file by that.
func TestForeignFilesAreNotShown(t *testing.T) {
	const secret = "hunter2"
	for name, text := range map[string]string{
		"passwords":               "root:$6$hunter2:19000:0:99999:7:::\nnobody:*:1::::::\n",
		"one word":                "hunter2\n",
		"a comment":               "# hunter2\n",
		"not ended":               "hunter2",
		"a list":                  "- hunter2\n- *hunter2\n",
		"settings":                "PASSWORD=hunter2\nUSER=hunter2\n",
		"a mapping":               "password: hunter2\n",
		"fields of its own":       "hunter2: {a: 1}\n",
		"a tag and an anchor":     "!hunter2 &hunter2 a: *hunter2\n",
		"another object":          "apiVersion: v1\nkind: Secret\nmetadata: {name: hunter2}\ndata: {token: hunter2}\n",
		"another kind's nodes":    "nodes:\n- {password: hunter2}\nusers: [hunter2]\n",
		"a key":                   "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
		"broken YAML":             "token: \"hunter2\n",
		"JSON":                    `{"private_key": "hunter2"}` + "\n",
		"broken JSON":             `{"private_key": "hunter2"` + "\n",
		"a topology further in":   "data:\n  topology: |\n    apiVersion: podnet.dev/v1alpha1\n  token: \"hunter2\n",
		"a name of it in a value": "note: kind: ClusterTopology hunter2\n",
		"not UTF-8":               "hunter2 \xff\n",
		"several documents":       "a: hunter2\n---\nb: hunter2\n",
	} {
		t.Run(name, func(t *testing.T) {
			invalid := faultsOf(t, []byte(text))
			var out strings.Builder
			if err := invalid.WriteText(&out, nil); err != nil {
				t.Fatal(err)
			}
			machine, err := json.Marshal(invalid)
			if err != nil {
				t.Fatal(err)
			}
			for _, said := range []string{out.String(), invalid.Error(), string(machine)} {
				if strings.Contains(said, secret) {
					t.Errorf("shown: %s", said)
				}
			}
		})
	}
}

// The lines of a topology are shown, however broken it is.
func TestTopologiesAreShown(t *testing.T) {
	for name, text := range map[string]string{
		"another version":   "apiVersion: podnet.dev/v9\nhere: 1\n",
		"a kind mistyped":   "apiVersion: podnet.dev/v1alpha1\nkind: Topology\nhere: 1\n",
		"no apiVersion":     "kind: ClusterTopology\nhere: 1\n",
		"neither":           "metadata: {name: here!}\nnodes: []\n",
		"broken YAML":       "apiVersion: podnet.dev/v1alpha1\nmetadata: {name: \"here\nnodes: []\n",
		"broken JSON":       `{"apiVersion": "podnet.dev/v1alpha1", "here: 1}` + "\n",
		"quoted and broken": "\"kind\": \"ClusterTopology\"\nmetadata: {name: \"here\n",
		"cut off":           "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nhere",
	} {
		t.Run(name, func(t *testing.T) {
			invalid := faultsOf(t, []byte(text))
			var out strings.Builder
			if err := invalid.WriteText(&out, nil); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), " | ") || !strings.Contains(out.String(), "here") {
				t.Errorf("not shown: %s", out.String())
			}
		})
	}
}
