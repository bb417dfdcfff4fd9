package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"share/relay/account"
)

// A schema is what openapi.json says of a value.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       string             `json:"type"`
	Format     string             `json:"format"`
	Items      *schema            `json:"items"`
	Properties map[string]*schema `json:"properties"`
	Others     any                `json:"additionalProperties"`
	Required   []string           `json:"required"`
	Enum       []string           `json:"enum"`
}

type content map[string]struct{ Schema *schema }

// An operation is what openapi.json says of an endpoint.
type operation struct {
	OperationID string
	Security    []map[string][]account.Role
	Parameters  []struct{ Name, In string }
	RequestBody struct{ Content content }
	Responses   map[string]struct{ Content content }
}

type document struct {
	OpenAPI    string
	Paths      map[string]map[string]*operation
	Components struct{ Schemas map[string]*schema }
}

func readDocument(t *testing.T) *document {
	t.Helper()
	var d document
	if err := json.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.") {
		t.Errorf("openapi %q", d.OpenAPI)
	}
	return &d
}

// of resolves a reference.
func (d *document) of(s *schema) *schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok && d.Components.Schemas[name] != nil {
		return d.Components.Schemas[name]
	}
	return s
}

// differs says how what JSON makes of a type is not what s says, nothing if it
// is. sent says that all of it must be there which is not left out when empty.
func (d *document) differs(s *schema, t reflect.Type, sent bool) (faults []string) {
	if s == nil {
		return []string{"there is no schema of " + t.String()}
	}
	s = d.of(s)
	kinds := map[reflect.Kind]string{
		reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Int64: "integer",
		reflect.Slice: "array", reflect.Struct: "object", reflect.Map: "object",
	}
	want, format := kinds[t.Kind()], ""
	switch {
	case t == reflect.TypeFor[time.Time]():
		want, format = "string", "date-time"
	case t.Kind() == reflect.Int64:
		format = "int64"
	}
	if s.Type != want || s.Format != format {
		return []string{fmt.Sprintf("it is a %s %s, and not a %s %s", want, format, s.Type, s.Format)}
	}
	values := map[reflect.Type][]string{
		reflect.TypeFor[account.Role](): {string(account.RoleAdmin), string(account.RoleMetrics)},
		reflect.TypeFor[account.Kind](): {string(account.KindGitHub), string(account.KindGitLab), string(account.KindOIDC)},
	}
	_, open := s.Others.(map[string]any)
	switch {
	case !slices.Equal(s.Enum, values[t]):
		return []string{fmt.Sprintf("it is one of %q, and not of %q", values[t], s.Enum)}
	case open != (t.Kind() == reflect.Map):
		return []string{"it is not as open as its map"}
	case open:
		return nil
	case want == "array":
		return d.differs(s.Items, t.Elem(), sent)
	case want != "object":
		return nil
	}
	fields, required := fieldsOf(t)
	for name, field := range fields {
		if s.Properties[name] == nil {
			faults = append(faults, "it lacks "+name)
			continue
		}
		for _, fault := range d.differs(s.Properties[name], field, sent) {
			faults = append(faults, name+": "+fault)
		}
	}
	for name := range s.Properties {
		if fields[name] == nil {
			faults = append(faults, "there is no "+name)
		}
	}
	slices.Sort(required)
	if got := slices.Sorted(slices.Values(s.Required)); sent && !slices.Equal(got, required) {
		faults = append(faults, fmt.Sprintf("always there are %v, and not %v", required, got))
	}
	return faults
}

// fieldsOf gives the fields of a type by their names in JSON, and those that are
// always there.
func fieldsOf(t reflect.Type) (fields map[string]reflect.Type, always []string) {
	fields = make(map[string]reflect.Type)
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			inner, required := fieldsOf(f.Type)
			maps.Copy(fields, inner)
			always = append(always, required...)
		case name != "-":
			fields[name] = f.Type
			if !strings.Contains(options, "omit") {
				always = append(always, name)
			}
		}
	}
	return fields, always
}

// TestOpenAPI holds openapi.json to what is served: every endpoint and field is
// there, and nothing else.
func TestOpenAPI(t *testing.T) {
	d := readDocument(t)
	seen := make(map[string]bool)
	for _, e := range newRelay(t).remote() {
		method, path, _ := strings.Cut(e.pattern, " ")
		method = strings.ToLower(method)
		seen[method+" "+path] = true
		o := d.Paths[path][method]
		if o == nil {
			t.Errorf("%s is missing", e.pattern)
			continue
		}
		for _, fault := range d.faults(e, o) {
			t.Errorf("%s: %s", e.pattern, fault)
		}
	}
	ids := make(map[string]bool)
	for path, methods := range d.Paths {
		for method, o := range methods {
			if !seen[method+" "+path] {
				t.Errorf("%s %s is not served", method, path)
			}
			if o.OperationID == "" || ids[o.OperationID] {
				t.Errorf("%s %s: the id %q is missing, or another's", method, path, o.OperationID)
			}
			ids[o.OperationID] = true
		}
	}
}

// faults says how an endpoint is not what o says.
func (d *document) faults(e endpoint, o *operation) (faults []string) {
	if e.in != nil {
		faults = append(faults, d.differs(o.RequestBody.Content["application/json"].Schema, e.in, false)...)
	} else if len(o.RequestBody.Content) > 0 {
		faults = append(faults, "it takes no body")
	}
	if e.out != nil {
		faults = append(faults, d.differs(o.Responses["200"].Content["application/json"].Schema, e.out, true)...)
	}
	for status, r := range o.Responses {
		if s := r.Content["application/problem+json"].Schema; s != nil {
			faults = append(faults, d.differs(s, reflect.TypeFor[problem](), true)...)
		} else if status >= "4" && status != "503" {
			faults = append(faults, status+" is no problem")
		}
	}
	var roles []account.Role
	for _, s := range o.Security {
		roles = append(roles, s["token"]...)
	}
	if !slices.Equal(roles, e.roles) || o.Security == nil {
		faults = append(faults, fmt.Sprintf("it wants a token of %v, and not of %v", e.roles, roles))
	}
	var params []string
	for _, p := range o.Parameters {
		if p.In == "path" {
			params = append(params, "{"+p.Name+"}")
		}
	}
	if got := wildcards(e.pattern); !slices.Equal(got, params) {
		faults = append(faults, fmt.Sprintf("its path has %v, and not %v", got, params))
	}
	return faults
}

func wildcards(pattern string) (all []string) {
	for part := range strings.SplitSeq(pattern, "/") {
		if strings.HasPrefix(part, "{") {
			all = append(all, part)
		}
	}
	return all
}

// What is not as it should be is found.
func TestOpenAPIFaultsAreFound(t *testing.T) {
	type value struct {
		Name string    `json:"name"`
		When time.Time `json:"when,omitzero"`
	}
	good := map[string]*schema{"name": {Type: "string"}, "when": {Type: "string", Format: "date-time"}}
	without := func(name string) map[string]*schema {
		m := maps.Clone(good)
		delete(m, name)
		return m
	}
	with := func(name string, s *schema) map[string]*schema {
		m := maps.Clone(good)
		m[name] = s
		return m
	}
	d := &document{}
	for name, tt := range map[string]struct {
		s      *schema
		faulty bool
	}{
		"right":          {&schema{Type: "object", Properties: good, Required: []string{"name"}}, false},
		"no schema":      {nil, true},
		"another type":   {&schema{Type: "array"}, true},
		"a field less":   {&schema{Type: "object", Properties: without("when"), Required: []string{"name"}}, true},
		"a field more":   {&schema{Type: "object", Properties: with("x", &schema{Type: "string"}), Required: []string{"name"}}, true},
		"another kind":   {&schema{Type: "object", Properties: with("name", &schema{Type: "integer"}), Required: []string{"name"}}, true},
		"not required":   {&schema{Type: "object", Properties: good}, true},
		"often required": {&schema{Type: "object", Properties: good, Required: []string{"name", "when"}}, true},
	} {
		if faults := d.differs(tt.s, reflect.TypeFor[value](), true); len(faults) > 0 != tt.faulty {
			t.Errorf("%s: %q", name, faults)
		}
	}
}
