//go:build linux

package main

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// maxSize is how large a program may be.
const maxSize = 20 << 20

// Each program is for its platform, asks for nothing that is not part of the system, and
// says of itself what it was built from.
func TestPrograms(t *testing.T) {
	for _, p := range platforms {
		t.Run(p.os+"_"+p.arch, func(t *testing.T) {
			program := programOf(t, p)
			switch p.os {
			case "linux":
				expectELF(t, program, map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[p.arch])
			case "darwin":
				expectMachO(t, program, map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64}[p.arch])
			case "windows":
				expectPE(t, program, map[string]uint16{"amd64": pe.IMAGE_FILE_MACHINE_AMD64, "arm64": pe.IMAGE_FILE_MACHINE_ARM64}[p.arch])
			}
			if len(program) > maxSize {
				t.Errorf("got %d bytes, want at most %d", len(program), maxSize)
			}
			if bytes.Contains(program, []byte(made(t).dir)) {
				t.Errorf("it has the name of the folder that it was built in")
			}
			expectInfo(t, p, program)
		})
	}
}

func expectELF(t *testing.T, program []byte, machine elf.Machine) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if f.Machine != machine || f.Type != elf.ET_EXEC {
		t.Errorf("got %v, %v, want %v, %v", f.Machine, f.Type, machine, elf.ET_EXEC)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it is not static: it has %v", p.Type)
		}
	}
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
		t.Error("it has symbols, or what debuggers read")
	}
}

// macOS has no other way to it than through libraries of its own, and on arm64 starts
// nothing that is not signed, if only by its own sum.
func expectMachO(t *testing.T, program []byte, cpu macho.Cpu) {
	t.Helper()
	f, err := macho.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if f.Cpu != cpu || f.Type != macho.TypeExec {
		t.Errorf("got %v, %v, want %v, %v", f.Cpu, f.Type, cpu, macho.TypeExec)
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range libraries {
		if !strings.HasPrefix(l, "/usr/lib/") && !strings.HasPrefix(l, "/System/Library/") {
			t.Errorf("it needs %s", l)
		}
	}
	const signature = 0x1d // LC_CODE_SIGNATURE
	signed := slices.ContainsFunc(f.Loads, func(l macho.Load) bool { return f.ByteOrder.Uint32(l.Raw()) == signature })
	if !signed && cpu == macho.CpuArm64 {
		t.Error("it is not signed")
	}
	if f.Section("__debug_info") != nil || f.Section("__zdebug_info") != nil {
		t.Error("it has what debuggers read")
	}
}

func expectPE(t *testing.T, program []byte, machine uint16) {
	t.Helper()
	f, err := pe.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if f.Machine != machine || f.Characteristics&pe.IMAGE_FILE_EXECUTABLE_IMAGE == 0 {
		t.Errorf("got machine %#x, %#x, want %#x", f.Machine, f.Characteristics, machine)
	}
	if h, ok := f.OptionalHeader.(*pe.OptionalHeader64); !ok || h.Subsystem != pe.IMAGE_SUBSYSTEM_WINDOWS_CUI {
		t.Errorf("got header %+v, want a console's", f.OptionalHeader)
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if _, library, _ := strings.Cut(s, ":"); !strings.EqualFold(library, "kernel32.dll") {
			t.Errorf("it needs %s", s)
		}
	}
	if f.Section(".debug_info") != nil || f.Section(".zdebug_info") != nil || len(f.Symbols) > 0 {
		t.Error("it has symbols, or what debuggers read")
	}
}

func expectInfo(t *testing.T, p platform, program []byte) {
	t.Helper()
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if info.Path != "share" || info.Main.Version != "v1.2.3" {
		t.Errorf("got %s %s, want share v1.2.3", info.Path, info.Main.Version)
	}
	want := map[string]string{"-buildmode": "exe", "-compiler": "gc", "-tags": "urfave_cli_no_docs,noasm", "-trimpath": "true",
		"CGO_ENABLED": "0", "GOOS": p.os, "GOARCH": p.arch, "vcs": "git", "vcs.modified": "false",
		"vcs.revision": strings.TrimSpace(output(t, made(t).tree, "git", "rev-parse", "HEAD")),
		"vcs.time":     commitTime(t).UTC().Format(time.RFC3339)}
	switch p.arch {
	case "amd64":
		want["GOAMD64"] = "v1"
	case "arm64":
		want["GOARM64"] = "v8.0"
	}
	got := make(map[string]string)
	for _, s := range info.Settings {
		got[s.Key] = s.Value
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v,\nwant %v", got, want)
	}
}

// Each program has a list of the modules that it was made of, and of no others.
func TestSBOMs(t *testing.T) {
	for _, p := range platforms {
		t.Run(p.os+"_"+p.arch, func(t *testing.T) {
			var bom struct {
				BOMFormat, SpecVersion string
				Metadata               struct{ Component component }
				Components             []component
			}
			if err := json.Unmarshal(read(t, p.stem()+".cdx.json"), &bom); err != nil {
				t.Fatal(err)
			}
			own := bom.Metadata.Component
			if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.6" || own.Type != "application" || own.PURL != "pkg:golang/share@v1.2.3" {
				t.Errorf("got %s %s of %+v", bom.BOMFormat, bom.SpecVersion, own)
			}
			if want := (property{"go:GOOS", p.os}); !slices.Contains(own.Properties, want) {
				t.Errorf("got %v, want %v in it", own.Properties, want)
			}
			info, err := buildinfo.Read(bytes.NewReader(programOf(t, p)))
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}
			for _, m := range info.Deps {
				want = append(want, "pkg:golang/"+m.Path+"@"+strings.ReplaceAll(m.Version, "+", "%2B"))
			}
			if len(want) < 10 {
				t.Fatalf("the program says that it was made of %v alone", want)
			}
			slices.Sort(want)
			var got []string
			for _, c := range bom.Components {
				if c.Type != "library" || c.Version == "" || !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@") || c.BOMRef != c.PURL {
					t.Errorf("got %+v", c)
				}
				got = append(got, c.PURL)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q,\nwant %q", got, want)
			}
		})
	}
}
