package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// npmName is what npm calls the package that users name. It depends on one for each
// platform, which npm leaves away where it does not fit; nothing runs at install.
const npmName = "share-tunnel"

//go:embed launch.js
var launcher []byte

// A manifest is a package.json.
type manifest struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Description  string            `json:"description"`
	License      string            `json:"license"`
	Bin          map[string]string `json:"bin,omitempty"`
	OS           []string          `json:"os,omitempty"`
	CPU          []string          `json:"cpu,omitempty"`
	Files        []string          `json:"files"`
	Dependencies map[string]string `json:"optionalDependencies,omitempty"`
}

// node is a platform as Node.js calls it.
func (p platform) node() (os, cpu string) {
	os, cpu = p.os, p.arch
	if os == "windows" {
		os = "win32"
	}
	if cpu == "amd64" {
		cpu = "x64"
	}
	return os, cpu
}

// npmName is the package that has the binary for p.
func (p platform) npmName() string {
	os, cpu := p.node()
	return fmt.Sprintf("%s-%s-%s", npmName, os, cpu)
}

// writeNPM writes the package that has a binary.
func writeNPM(out string, b *binary, more extras) error {
	os, cpu := b.node()
	m := manifest{Name: b.npmName(), Version: b.version, Description: "share for " + b.String(), License: "MIT",
		OS: []string{os}, CPU: []string{cpu}, Files: []string{b.file()}}
	return writeModule(out, b, m, file{b.file(), b.program, 0o755}, more)
}

// writeLauncher writes the package that users name.
func writeLauncher(out string, b *binary, more extras) error {
	m := manifest{Name: npmName, Version: b.version, Description: "Give a local port a URL", License: "MIT",
		Bin: map[string]string{"share": "launch.js"}, Files: []string{"launch.js"}, Dependencies: map[string]string{}}
	for _, p := range platforms {
		m.Dependencies[p.npmName()] = b.version
	}
	return writeModule(out, b, m, file{"launch.js", launcher, 0o755}, more)
}

func writeModule(out string, b *binary, m manifest, f file, more extras) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	files := []file{{"package.json", append(text, '\n'), 0o644}, {license, more[license], 0o644}, {readme, more[readme], 0o644}, f}
	return writeTar(filepath.Join(out, fmt.Sprintf("%s-%s.tgz", m.Name, m.Version)), "package", files, b.time)
}
