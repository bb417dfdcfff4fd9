package project

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
)

// What the schema and the parser say of a file is the same.
func TestSchema(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	const head = "version: 1\n"
	tests := []struct {
		text string
		want bool
	}{
		{head, true},
		{head + "tunnels:\n", true},
		{head + "tunnels: {a: {target: 80}}\n", true},
		{head + "tunnels: {a: {target: \"${PORT}\", random: true, kind: http}}\n", true},
		{head + "tunnels: {a: {target: x:80, hold: 1m30s, lanes: 8, errors: brief, relay: [a, b]}}\n", true},
		{head + "defaults: {hold: \"${NO:-1s}\", relay: a, grace: 0s, lanes: \"2\", insecure-target: \"true\"}\n", true},
		{"tunnels: {a: {target: 80}}\n", false},
		{"version: 2\n", false},
		{"version: \"1\"\n", false},
		{head + "tunnels: {a: {}}\n", false},
		{head + "tunnels: {a: 80}\n", false},
		{head + "tunnels: {a: }\n", false},
		{head + "tunnels: {-a: {target: 80}}\n", false},
		{head + "tunnels: {a: {target: 80, x: 1}}\n", false},
		{head + "tunnels: {a: {target: [80]}}\n", false},
		{head + "tunnels: {a: {target: 80, kind: tcp}}\n", false},
		{head + "tunnels: {a: {target: 80, random: maybe}}\n", false},
		{head + "tunnels: {a: {target: 80, name: shr_x}}\n", false},
		{head + "tunnels: {a: {target: 80, token-file: x}}\n", false},
		{head + "defaults: {name: x}\n", false},
		{head + "defaults: {relay: []}\n", false},
		{head + "defaults: {host-header: \"\"}\n", false},
		{head + "other: 1\n", false},
		{"[]\n", false},
	}
	for _, tt := range tests {
		_, err := Parse("x.yaml", []byte(tt.text), environment)
		var value any
		if err := yaml.Unmarshal([]byte(tt.text), &value); err != nil {
			t.Fatalf("%q: %v", tt.text, err)
		}
		if got := conforms(t, schema, value); got != tt.want || (err == nil) != tt.want {
			t.Errorf("%q: the schema says %v, Parse %v, want %v", tt.text, got, err, tt.want)
		}
	}
}

// conforms reports whether v is as the schema says, in the words that Schema uses.
func conforms(t *testing.T, schema map[string]any, v any) bool {
	for word, arg := range schema {
		ok := true
		switch word {
		case "type":
			kinds, several := arg.([]any)
			if !several {
				kinds = []any{arg}
			}
			ok = slices.ContainsFunc(kinds, func(k any) bool { return k == kindOf(v) || k == "number" && kindOf(v) == "integer" })
		case "const":
			ok = number(v) == arg
		case "enum":
			ok = slices.Contains(arg.([]any), v)
		case "pattern":
			s, is := v.(string)
			ok = !is || regexp.MustCompile(arg.(string)).MatchString(s)
		case "minLength":
			s, is := v.(string)
			ok = !is || s != ""
		case "minimum":
			n, is := number(v).(float64)
			ok = !is || n >= arg.(float64)
		case "maximum":
			n, is := number(v).(float64)
			ok = !is || n <= arg.(float64)
		case "minItems":
			items, is := v.([]any)
			ok = !is || float64(len(items)) >= arg.(float64)
		case "items":
			items, _ := v.([]any)
			for _, item := range items {
				ok = ok && conforms(t, arg.(map[string]any), item)
			}
		case "not":
			ok = !conforms(t, arg.(map[string]any), v) || kindOf(v) != "string"
		case "anyOf":
			ok = slices.ContainsFunc(arg.([]any), func(one any) bool { return conforms(t, one.(map[string]any), v) })
		case "required":
			m, is := v.(map[string]any)
			for _, name := range arg.([]any) {
				_, has := m[name.(string)]
				ok = ok && (!is || has)
			}
		case "additionalProperties", "propertyNames", "maxProperties":
			m, _ := v.(map[string]any)
			for name, value := range m {
				ok = ok && member(t, schema, word, arg, name, value)
			}
			if word == "maxProperties" {
				ok = float64(len(m)) <= arg.(float64)
			}
		case "properties":
			m, _ := v.(map[string]any)
			for name, value := range m {
				if s, known := arg.(map[string]any)[name]; known {
					ok = ok && conforms(t, s.(map[string]any), value)
				}
			}
		case "$schema", "title", "description":
		default:
			t.Fatalf("the schema has the word %s, which this test does not know", word)
		}
		if !ok {
			return false
		}
	}
	return true
}

// member is conforms for one member of an object.
func member(t *testing.T, schema map[string]any, word string, arg any, name string, value any) bool {
	if word == "propertyNames" {
		return conforms(t, arg.(map[string]any), name)
	}
	properties, _ := schema["properties"].(map[string]any)
	if _, known := properties[name]; known {
		return true
	}
	switch arg := arg.(type) {
	case bool:
		return arg
	case map[string]any:
		return conforms(t, arg, value)
	}
	return true
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case int, int64, uint64:
		return "integer"
	case float64:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// number gives a whole number as encoding/json does.
func number(v any) any {
	switch n := v.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case uint64:
		return float64(n)
	}
	return v
}
