//go:build linux

package main

import (
	"archive/zip"
	"debug/elf"
	"io"
	"testing"
)

// needed are the libraries that a binary asks for, and its interpreter.
func needed(t *testing.T, path string) []string {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			libraries = append(libraries, "an interpreter")
		}
	}
	if f.Section(".symtab") != nil {
		libraries = append(libraries, "no symbols, but has them")
	}
	return libraries
}

// readZip reads a file of a zip.
func readZip(t *testing.T, path, name string) []byte {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
