package project

import "encoding/json"

// Schema is a JSON Schema of a project's file, for editors. It is made of what
// Parse reads by; what holds for more than one key, and what a flag says of a
// value, it leaves to Parse.
func Schema() []byte {
	defaults, one := object(allowed(true, false)), object(allowed(true, true))
	one["required"] = []string{"target"}
	b, err := json.MarshalIndent(map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                Name,
		"type":                 "object",
		"additionalProperties": false,
		"required":             []string{"version"},
		"properties": map[string]any{
			"version":  map[string]any{"const": 1, "description": "of this form"},
			"defaults": optional(defaults, "what all tunnels have that do not say otherwise"),
			"tunnels": optional(map[string]any{
				"type":                 "object",
				"maxProperties":        maxTunnels,
				"propertyNames":        map[string]any{"pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"},
				"additionalProperties": one,
			}, "a label for each, and what it is"),
		},
	}, "", "  ")
	if err != nil {
		return nil // texts and maps always marshal
	}
	return append(b, '\n')
}

// optional is a schema of what may be left empty.
func optional(schema map[string]any, description string) map[string]any {
	schema["type"], schema["description"] = []string{"object", "null"}, description
	return schema
}

// object is the schema of a mapping of keys.
func object(keys []key) map[string]any {
	properties := map[string]any{}
	for _, k := range keys {
		p := k.schema()
		p["description"] = k.usage
		properties[k.name] = p
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// schema is that of the key's value. What has a variable in it may be anything.
func (k key) schema() map[string]any {
	variable := map[string]any{"type": "string", "pattern": `\$\{`}
	one := map[string]any{"type": []string{"string", "number", "boolean"}, "minLength": 1, "not": map[string]any{"pattern": secret}}
	switch k.kind {
	case isToggle:
		return map[string]any{"anyOf": []any{map[string]any{"enum": []any{true, false, "true", "false"}}, variable}}
	case isChoice:
		return map[string]any{"anyOf": []any{map[string]any{"enum": k.choices}, variable}}
	case isNumber:
		return map[string]any{"anyOf": []any{map[string]any{"type": "integer", "minimum": 1, "maximum": 8}, map[string]any{"type": "string", "pattern": "^[1-8]$"}, variable}}
	case isTime:
		return map[string]any{"anyOf": []any{map[string]any{"type": "string", "pattern": `^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|ms|s|m|h))*$`}, variable}}
	case isList:
		return map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "minItems": 1, "items": one}}}
	}
	return one
}
