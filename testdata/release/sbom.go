package main

import (
	"cmp"
	"encoding/json"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A component is a module as CycloneDX has it.
type component struct {
	Type       string     `json:"type"`
	BOMRef     string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// writeSBOM writes what a binary was made of, as it says itself: CycloneDX 1.6, JSON.
func writeSBOM(name string, b *binary) error {
	type metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	bom := struct {
		Format     string      `json:"bomFormat"`
		Spec       string      `json:"specVersion"`
		Version    int         `json:"version"`
		Metadata   metadata    `json:"metadata"`
		Components []component `json:"components"`
	}{Format: "CycloneDX", Spec: "1.6", Version: 1}
	own := module("application", &b.info.Main)
	for _, s := range b.info.Settings {
		own.Properties = append(own.Properties, property{"go:" + s.Key, s.Value})
	}
	bom.Metadata = metadata{b.time.UTC().Format(time.RFC3339), own}
	bom.Components = []component{module("library", &debug.Module{Path: "std", Version: strings.TrimPrefix(b.info.GoVersion, "go")})}
	for _, m := range b.info.Deps {
		bom.Components = append(bom.Components, module("library", cmp.Or(m.Replace, m)))
	}
	slices.SortFunc(bom.Components, func(x, y component) int { return cmp.Compare(x.PURL, y.PURL) })
	text, err := json.MarshalIndent(bom, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}

func module(kind string, m *debug.Module) component {
	purl := "pkg:golang/" + m.Path + "@" + strings.ReplaceAll(m.Version, "+", "%2B")
	c := component{Type: kind, BOMRef: purl, Name: m.Path, Version: m.Version, PURL: purl}
	if m.Sum != "" {
		c.Properties = []property{{"go:sum", m.Sum}}
	}
	return c
}
