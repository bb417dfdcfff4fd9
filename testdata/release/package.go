package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// writePackage writes a package of format, deb or rpm.
func writePackage(name, format string, b *binary, more extras) error {
	work, err := os.MkdirTemp("", "package")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	page, err := compress(more[manual])
	if err != nil {
		return err
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name:        "share",
		Arch:        b.arch,
		Platform:    "linux",
		Version:     b.version,
		Section:     "net",
		Priority:    "optional",
		Maintainer:  "share <share@localhost>",
		Description: "Give a local port a URL\nA tunnel from a URL to a program on a local port, through a relay of one's own.",
		License:     "MIT",
		MTime:       b.time,
	})
	info.Deb.Compression, info.RPM.Compression = "gzip", "gzip"
	info.RPM.BuildHost = "localhost"
	for i, f := range []file{
		{"/usr/bin/share", b.program, 0o755},
		{"/usr/share/man/man1/share.1.gz", page, 0o644},
		{"/usr/share/bash-completion/completions/share", more[bashScript], 0o644},
		{"/usr/share/zsh/site-functions/_share", more[zshScript], 0o644},
		{"/usr/share/fish/vendor_completions.d/share.fish", more[fishScript], 0o644},
		{"/usr/share/doc/share/copyright", more[license], 0o644},
	} {
		source := filepath.Join(work, string(rune('a'+i)))
		if err := os.WriteFile(source, f.data, 0o600); err != nil {
			return err
		}
		info.Contents = append(info.Contents, &files.Content{Source: source, Destination: f.name,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: f.mode, MTime: b.time}})
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := packager.Package(info, &out); err != nil {
		return err
	}
	return os.WriteFile(name, out.Bytes(), 0o644)
}

// compress gzips data, without a time.
func compress(data []byte) ([]byte, error) {
	var b bytes.Buffer
	gz, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := gz.Write(data); err != nil {
		return nil, err
	}
	err = gz.Close()
	return b.Bytes(), err
}
