//go:build linux

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	endian "encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An entry is a file of an archive or a package.
type entry struct {
	name  string // without a slash or a dot before it
	data  []byte
	mode  fs.FileMode
	time  time.Time
	owner string
}

// unzip reads a zip.
func unzip(t *testing.T, data []byte) (entries []entry) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		entries = append(entries, entry{f.Name, all(t, r), f.Mode(), f.Modified, ""})
	}
	return entries
}

// untar reads the files of a tar.gz.
func untar(t *testing.T, data []byte) (entries []entry) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(gunzip(t, data)))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir && h.FileInfo().Mode() == fs.ModeDir|0o755 {
			continue
		}
		entries = append(entries, entry{relative(h.Name), all(t, r), h.FileInfo().Mode(), h.ModTime, h.Uname})
	}
}

// undeb reads a deb: what it says of itself, and its files.
func undeb(t *testing.T, data []byte) (control string, entries []entry) {
	t.Helper()
	const magic, header = "!<arch>\n", 60
	parts := make(map[string][]byte)
	for rest := data[len(magic):]; len(rest) > header; {
		size, err := strconv.Atoi(strings.TrimSpace(string(rest[48:58])))
		if err != nil || size > len(rest)-header {
			t.Fatalf("a part of %q bytes, %v", rest[48:58], err)
		}
		parts[strings.TrimRight(string(rest[:16]), " /")] = rest[header : header+size]
		rest = rest[min(header+size+size%2, len(rest)):]
	}
	if got := string(parts["debian-binary"]); got != "2.0\n" {
		t.Fatalf("got format %q, want 2.0", got)
	}
	for _, e := range untar(t, parts["control.tar.gz"]) {
		if e.name == "control" {
			control = string(e.data)
		}
	}
	return control, untar(t, parts["data.tar.gz"])
}

// Tags of an rpm's header.
const (
	rpmName, rpmVersion, rpmOS, rpmArch = 1000, 1001, 1021, 1022
	rpmFileModes, rpmFileTimes          = 1030, 1034
)

// unrpm reads an rpm: its header, and its files, whose modes and times are those in the
// header.
func unrpm(t *testing.T, data []byte) (header map[uint32][]byte, entries []entry) {
	t.Helper()
	const lead = 96
	_, size := rpmHeader(t, data[lead:])
	start := lead + (size+7)&^7
	header, size = rpmHeader(t, data[start:])
	payload := gunzip(t, data[start+size:])
	for i := 0; ; i++ {
		const head = 110 // of hexadecimal numbers, cpio's newc
		number := func(field int) int {
			b, err := hex.DecodeString(string(payload[6+8*field : 14+8*field]))
			if err != nil {
				t.Fatal(err)
			}
			return int(endian.BigEndian.Uint32(b))
		}
		size, named := number(6), head+number(11)
		begin := (named + 3) &^ 3
		name := string(payload[head : named-1])
		if name == "TRAILER!!!" {
			return header, entries
		}
		mode := endian.BigEndian.Uint16(header[rpmFileModes][2*i:])
		at := endian.BigEndian.Uint32(header[rpmFileTimes][4*i:])
		if mode>>12 != 0o10 {
			t.Fatalf("%s: got mode %o, want a file's", name, mode)
		}
		entries = append(entries, entry{relative(name), payload[begin : begin+size], fs.FileMode(mode & 0o7777), time.Unix(int64(at), 0), ""})
		payload = payload[(begin+size+3)&^3:]
	}
}

// rpmHeader reads a header of an rpm, and its size: for each tag, what is stored from
// where its value begins.
func rpmHeader(t *testing.T, data []byte) (header map[uint32][]byte, size int) {
	t.Helper()
	const head, line = 16, 16
	if !bytes.HasPrefix(data, []byte{0x8e, 0xad, 0xe8, 1}) {
		t.Fatalf("got %x, want a header of an rpm", data[:4])
	}
	lines, stored := int(endian.BigEndian.Uint32(data[8:])), int(endian.BigEndian.Uint32(data[12:]))
	store := data[head+lines*line:][:stored]
	header = make(map[uint32][]byte)
	for i := range lines {
		index := data[head+i*line:]
		header[endian.BigEndian.Uint32(index)] = store[endian.BigEndian.Uint32(index[8:]):]
	}
	return header, head + lines*line + stored
}

// text is what is stored, as a string.
func text(stored []byte) string {
	before, _, _ := bytes.Cut(stored, []byte{0})
	return string(before)
}

// relative is a name without what leads to the root folder.
func relative(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "."), "/")
}

func gunzip(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return all(t, r)
}

func all(t *testing.T, r io.Reader) []byte {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
