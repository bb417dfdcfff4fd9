package agent

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"share/tunnel"
)

// kinds are all kinds of events.
func kinds() (all []EventKind) {
	for k := EventConnecting; k.String() != "unknown"; k++ {
		all = append(all, k)
	}
	return all
}

// fullEvent has every field set, so that no member is left out.
func fullEvent(t *testing.T, kind EventKind) Event {
	t.Helper()
	at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	e := Event{
		Kind: kind, Time: at, Tunnel: "web",
		Relay: "https://share.example.com", Identity: "GitHub Actions of acme/web",
		URL: "https://abc.share.example.com", Name: "abc", Via: "a WebSocket", Verified: true, Reason: "the link was cut",
		ID: "1", Method: "GET", Target: "/", Status: 502, Cause: tunnel.TargetRefused, Detail: "connection refused", Elapsed: 1200 * time.Microsecond,
		BytesIn: 7, BytesOut: 8, Protocol: "websocket",
		Drained: true, Retry: 100 * time.Millisecond, Attempt: 2, Open: 3, Up: true, Since: at, Code: 5, Message: "relay refused: taken", Hint: "choose another --name",
		Source: "npm", Stderr: true, Symptom: "host_refused", Excerpt: []string{"   1 | version: 2"},
	}
	for field, value := range reflect.ValueOf(e).Fields() {
		if value.IsZero() {
			t.Fatalf("%s is not set: set it here", field.Name)
		}
	}
	return e
}

// membersOf marshals e, and gives its members.
func membersOf(t *testing.T, e Event) map[string]any {
	t.Helper()
	line, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	members, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	return members.(map[string]any)
}

// compileSchema returns events.schema.json, and as what it is written.
func compileSchema(t *testing.T) (compiled *jsonschema.Schema, written map[string]any) {
	t.Helper()
	const name = "events.schema.json"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	if compiled, err = c.Compile(name); err != nil {
		t.Fatal(err)
	}
	return compiled, doc.(map[string]any)
}

func TestEventsAreOfTheSchema(t *testing.T) {
	schema, _ := compileSchema(t)
	for _, kind := range kinds() {
		for _, e := range []Event{fullEvent(t, kind), {Kind: kind}} {
			members := membersOf(t, e)
			if err := schema.Validate(members); err != nil {
				t.Errorf("%v: %v", members, err)
			}
			members["later"] = "member"
			if err := schema.Validate(members); err != nil {
				t.Errorf("%v, with a member of a later version: %v", kind, err)
			}
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	schema, _ := compileSchema(t)
	const head = `"v":1,"time":"2026-01-02T12:00:00.000Z","event":`
	tests := []struct {
		line string
		ok   bool
	}{
		{`{` + head + `"warning","message":"x"}`, true},
		{`{` + head + `"later","what":{"x":[1]}}`, true},
		{`{` + head + `"warning"}`, false},
		{`{` + head + `"warning","message":1}`, false},
		{`{` + head + `7}`, false},
		{`{"v":2,"time":"2026-01-02T12:00:00.000Z","event":"later"}`, false},
		{`{"v":1,"time":"noon","event":"later"}`, false},
		{`{"v":1,"event":"later"}`, false},
		{`{` + head + `"target","state":"sideways","cause":"","detail":"","since":"2026-01-02T12:00:00.000Z"}`, false},
		{`{` + head + `"stopped","code":256,"reason":""}`, false},
		{`{` + head + `"reconnecting","reason":"","retry_ms":-1}`, false},
		{`"warning"`, false},
	}
	for _, tt := range tests {
		line, err := jsonschema.UnmarshalJSON(strings.NewReader(tt.line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(line); (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want ok %v", tt.line, err, tt.ok)
		}
	}
}

// TestEventsOnlyGain holds events to what was promised of them, and the schema to
// the events.
func TestEventsOnlyGain(t *testing.T) {
	promised := readPromised(t)
	_, schema := compileSchema(t)
	defs := schema["$defs"].(map[string]any)
	none := slices.Max(kinds()) + 1 // an event of no kind has what all have
	every := slices.Sorted(maps.Keys(membersOf(t, fullEvent(t, none))))
	onlyGain(t, "every", none, nil, promised["every"], schema)
	delete(promised, "every")
	for _, kind := range kinds() {
		def, _ := defs[kind.String()].(map[string]any)
		if def == nil {
			t.Errorf("the schema has no %v", kind)
			continue
		}
		onlyGain(t, kind.String(), kind, every, promised[kind.String()], def)
		delete(promised, kind.String())
	}
	for kind := range maps.Keys(promised) {
		t.Errorf("the kind %s was promised, and is gone", kind)
	}
}

// onlyGain holds the members of events of a kind, but for those of leave, to what
// was promised of them, and def, what the schema says of them, to both.
func onlyGain(t *testing.T, name string, kind EventKind, leave, promised []string, def map[string]any) {
	t.Helper()
	full, least := membersOf(t, fullEvent(t, kind)), membersOf(t, Event{Kind: kind})
	var got []string
	for member := range full {
		if slices.Contains(leave, member) {
			continue
		}
		if _, always := least[member]; !always {
			member += "?"
		}
		got = append(got, member)
	}
	for _, member := range promised {
		if !slices.Contains(got, member) && !slices.Contains(got, strings.TrimSuffix(member, "?")) {
			t.Errorf("%s: got %q, want %s among them, as was promised", name, got, member)
		}
	}
	for _, member := range got {
		if !slices.Contains(promised, member) {
			t.Errorf("%s: %s is new: promise it in testdata/events.golden", name, member)
		}
	}
	properties, _ := def["properties"].(map[string]any)
	required, _ := def["required"].([]any)
	var described []string
	for member := range properties {
		if !slices.Contains(required, any(member)) {
			member += "?"
		}
		described = append(described, member)
	}
	slices.Sort(got)
	slices.Sort(described)
	if !slices.Equal(described, got) {
		t.Errorf("%s: the schema has %q, want %q", name, described, got)
	}
}

// readPromised returns what events.golden has, by kind.
func readPromised(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "events.golden"))
	if err != nil {
		t.Fatal(err)
	}
	promised := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		kind, members, ok := strings.Cut(line, ":")
		if !ok || promised[kind] != nil {
			t.Fatalf("events.golden: %q: want kind: members, once", line)
		}
		promised[kind] = strings.Fields(members)
	}
	return promised
}
