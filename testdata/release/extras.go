package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// A file is one of an archive.
type file struct {
	name string // with slashes
	data []byte
	mode os.FileMode
}

// extras are what comes beside the program, by name, the same for each platform.
type extras map[string][]byte

// Names of extras.
const (
	license    = "LICENSE"
	readme     = "README.md"
	manual     = "share.1"
	bashScript = "completions/share.bash"
	zshScript  = "completions/_share"
	fishScript = "completions/share.fish"
	psScript   = "completions/share.ps1"
)

// readExtras reads what comes beside the program from tree, and has own, which runs
// here, write the rest.
func readExtras(tree string, own *binary) (extras, error) {
	all := extras{}
	for _, name := range []string{license, readme} {
		data, err := os.ReadFile(filepath.Join(tree, name))
		if err != nil {
			return nil, err
		}
		all[name] = data
	}
	for name, args := range map[string][]string{
		manual:     {"man"},
		bashScript: {"completion", "bash"},
		zshScript:  {"completion", "zsh"},
		fishScript: {"completion", "fish"},
		psScript:   {"completion", "powershell"},
	} {
		data, err := exec.Command(own.path, args...).Output()
		if err != nil {
			return nil, fmt.Errorf("share %s: %w", args[0], err)
		}
		all[name] = data
	}
	return all, nil
}

// with returns the files of an archive, in a fixed order.
func (e extras) with(b *binary) []file {
	files := []file{{b.file(), b.program, 0o755}}
	for _, name := range []string{license, readme, manual, bashScript, zshScript, fishScript, psScript} {
		files = append(files, file{name, e[name], 0o644})
	}
	return files
}
