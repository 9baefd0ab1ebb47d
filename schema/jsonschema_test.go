package schema

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	generator "github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// The methods below say what a struct tag cannot: alternatives, lists of patterns and defaults that
// are lists.

func (fileNode) JSONSchemaExtend(s *generator.Schema) {
	property(s, "ip").AnyOf = []*generator.Schema{{Format: "ipv4"}, {Format: "ipv6"}}
	property(s, "podCIDRs").Items.Pattern = cidrPattern
}

func (fileTopology) JSONSchemaExtend(s *generator.Schema) {
	name := property(property(s, "nodes").Items, "name")
	property(s, "removedNodes").Items.Pattern = name.Pattern
}

func (fileNetwork) JSONSchemaExtend(s *generator.Schema) {
	property(s, "mtu").AnyOf = []*generator.Schema{{Const: 0}, {Minimum: "1280", Maximum: "65535"}}
	property(s, "clusterCIDRs").Items.Pattern = cidrPattern
}

func (fileMasquerade) JSONSchemaExtend(s *generator.Schema) {
	property(s, "nonMasqueradeCIDRs").Items.Pattern = cidrPattern
}

func (fileCNI) JSONSchemaExtend(s *generator.Schema) {
	property(s, "versions").Default = DefaultNetwork().CNI.Versions
}

const cidrPattern = "^[0-9a-fA-F:.]+/[0-9]+$"

func property(s *generator.Schema, name string) *generator.Schema {
	p, ok := s.Properties.Get(name)
	if !ok {
		panic("no property " + name)
	}
	return p
}

func generate(t *testing.T) string {
	t.Helper()
	g := generator.Reflector{Anonymous: true, ExpandedStruct: true, DoNotReference: true}
	s := g.Reflect(&fileTopology{})
	s.Title = "podnet cluster topology"
	s.ID = "https://podnet.dev/schemas/v1alpha1/topology.schema.json"
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data) + "\n"
}

func TestJSONSchema(t *testing.T) {
	golden(t, "topology.schema.json", generate(t))
	if !*update && string(JSONSchema()) != generate(t) {
		t.Errorf("JSONSchema is not the generated one")
	}
}

func compiled(t *testing.T) *validator.Schema {
	t.Helper()
	doc, err := validator.UnmarshalJSON(strings.NewReader(generate(t)))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("topology.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("topology.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkSchema(t *testing.T, s *validator.Schema, data []byte) error {
	t.Helper()
	converted, err := yaml.YAMLToJSON(withoutBOM(data))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := validator.UnmarshalJSON(bytes.NewReader(converted))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// TestJSONSchemaDefaults: a default that the schema promises is what Parse fills in.
func TestJSONSchemaDefaults(t *testing.T) {
	topology, err := Parse("minimal", cluster(1))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(asFile(topology))
	if err != nil {
		t.Fatal(err)
	}
	var parsed map[string]any
	if err := json.Unmarshal(data, &parsed); err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal([]byte(generate(t)), &schema); err != nil {
		t.Fatal(err)
	}
	if n := compareDefaults(t, "", schema, parsed); n < 12 {
		t.Errorf("the schema has %d defaults", n)
	}
}

// compareDefaults returns how many it found. A field that is left out of the JSON has its zero
// value.
func compareDefaults(t *testing.T, path string, schema, parsed map[string]any) int {
	n := 0
	for name, p := range schema["properties"].(map[string]any) {
		p, at := p.(map[string]any), path+"."+name
		if want, ok := p["default"]; ok {
			n++
			got := parsed[name]
			if got == nil {
				got = map[string]any{"integer": float64(0), "boolean": false}[p["type"].(string)]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-schema +Parse):\n%s", at, diff)
			}
		}
		if inner, ok := parsed[name].(map[string]any); ok && p["properties"] != nil {
			n += compareDefaults(t, at, p, inner)
		}
	}
	return n
}

// TestJSONSchemaAccepts: whatever Parse accepts, so does the schema.
func TestJSONSchemaAccepts(t *testing.T) {
	s := compiled(t)
	for _, file := range append(inputs(t, "../examples"), inputs(t, "testdata/valid")...) {
		if err := checkSchema(t, s, withKnownVersion(read(t, file))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestJSONSchemaRefuses what it can see: wrong fields and wrong values.
func TestJSONSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for _, name := range []string{
		"unknown-field", "wrong-case", "wrong-kind", "wrong-apiversion", "nodes-empty", "nodes-missing", "missing-ip-and-name",
		"metadata-missing", "metadata-name-capital", "metadata-name-long", "node-name-underscore", "ip-hostname", "ip-300",
		"mac-dashes", "mac-short", "vni-zero", "vni-high", "port-high", "percent-high", "percent-negative", "mask-sizes",
		"mtu-low", "mtu-high", "mtu-word", "cni-versions", "cni-versions-empty", "cni-name", "interface-long", "encapsulation-geneve",
		"podcidr-no-slash", "podcidr-zone", "cluster-cidrs", "list-is-a-text", "text-is-a-list", "boolean-quoted", "section-is-null",
	} {
		if err := checkSchema(t, s, read(t, "testdata/invalid/"+name+".yaml")); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
