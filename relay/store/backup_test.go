package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// golden is a backup of schema 1. It must be readable for ever.
const golden = "testdata/schema1.jsonl"

func goldenBackup(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRestoreGolden(t *testing.T) {
	b := openNew(t)
	if err := Restore(t.Context(), b, bytes.NewReader(goldenBackup(t))); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"name/web": `{"account":"ci"}`, "token/\xff\x00": "\x01\x02\x03", "token/é<": ""}
	if got := all(t, b); !maps.Equal(got, want) {
		t.Errorf("restored %q, want %q", got, want)
	}
	if revision := set(t, b, "next", "", 0); revision != 43 {
		t.Errorf("revision %d follows the backup's 42", revision)
	}
}

// TestBackup writes and reads: the same comes back, without leases.
func TestBackup(t *testing.T) {
	b := openNew(t)
	if err := Restore(t.Context(), b, bytes.NewReader(goldenBackup(t))); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := Backup(t.Context(), b, &again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), goldenBackup(t)) {
		t.Errorf("got:\n%s\nwant:\n%s", again.Bytes(), goldenBackup(t))
	}
	set(t, b, "leased", "", grant(t, b, time.Hour))
	again.Reset()
	if err := Backup(t.Context(), b, &again); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(again.String(), "leased") {
		t.Errorf("an entry with a lease is in the backup:\n%s", again.Bytes())
	}
	full := errors.New("full")
	if err := Backup(t.Context(), b, writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(b []byte) (int, error) { return w(b) }

// TestRestoreChanged cuts a backup after each byte and changes each: all of that
// is refused, and nothing is written.
func TestRestoreChanged(t *testing.T) {
	b := openNew(t)
	whole := goldenBackup(t)
	refuse := func(what string, content []byte) {
		t.Helper()
		if err := Restore(t.Context(), b, bytes.NewReader(content)); err == nil {
			t.Fatalf("%s: it was restored", what)
		}
		if got := all(t, b); len(got) > 0 {
			t.Fatalf("%s: it left %q", what, got)
		}
	}
	for i := range whole {
		refuse(fmt.Sprintf("cut after %d bytes", i), whole[:i])
		for _, mask := range []byte{1, 0x20, 0x80} {
			changed := bytes.Clone(whole)
			changed[i] ^= mask
			refuse(fmt.Sprintf("byte %d ^ %#x", i, mask), changed)
		}
	}
	refuse("twice", append(bytes.Clone(whole), whole...))
	refuse("an empty line more", append(bytes.Clone(whole), '\n'))
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for i := 1; i < len(lines)-2; i++ {
		refuse(fmt.Sprintf("without line %d", i), bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil))
	}
}

// TestRestoreRefused reads backups whose checksums are right.
func TestRestoreRefused(t *testing.T) {
	const header = `{"format":"share relay store","schema":1}` + "\n"
	entry := func(key, value string) string {
		text, err := entryLine(Entry{Key: key, Value: []byte(value)})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	b := openNew(t)
	for name, c := range map[string]struct {
		body     string
		entries  int
		revision int64
		want     string
	}{
		"nothing":        {"", 0, 1, "no backup"},
		"text":           {"hello\n", 0, 1, "no backup"},
		"another format": {`{"format":"grafana","schema":1}` + "\n", 0, 1, "no backup"},
		"a newer schema": {`{"format":"share relay store","schema":2,"more":"x"}` + "\n", 0, 1, "use a newer share"},
		"schema 0":       {`{"format":"share relay store","schema":0}` + "\n", 0, 1, "header was changed"},
		"a wide header":  {`{"format": "share relay store","schema":1}` + "\n", 0, 1, "header was changed"},
		"no key":         {header + `{"value":""}` + "\n", 1, 1, "a key of 0 bytes"},
		"a long key":     {header + entry(strings.Repeat("k", MaxKey+1), ""), 1, 1, "a key of 513 bytes"},
		"a long value":   {header + entry("k", strings.Repeat("v", MaxValue+1)), 1, 1, "a value of 65537 bytes"},
		"a long line":    {header + strings.Repeat(" ", maxLine+1) + "\n", 1, 1, "line 2 has more than"},
		"a key twice":    {header + entry("a", "1") + entry("a", "2"), 2, 1, "not behind"},
		"out of order":   {header + entry("b", "1") + entry("a", "2"), 2, 1, "not behind"},
		"two keys":       {header + `{"key":"a","keyBytes":"Yg==","value":""}` + "\n", 1, 1, "not as a backup writes it"},
		"no value":       {header + `{"key":"a","value":null}` + "\n", 1, 1, "not as a backup writes it"},
		"half a rune":    {header + `{"key":"\ud800","value":""}` + "\n", 1, 1, "not as a backup writes it"},
		"a field more":   {header + `{"key":"a","value":"","lease":1}` + "\n", 1, 1, "not as a backup writes it"},
		"no JSON":        {header + "key\n", 1, 1, "unreadable"},
		"a wrong count":  {header + entry("a", ""), 2, 1, "it has 1 entries and should have 2"},
		"revision 0":     {header + entry("a", ""), 1, 0, "revision 0"},
		"revision -1":    {header, 0, -1, "revision -1"},
		"revision 2^60":  {header, 0, 1 << 60, "revision 1152921504606846976"},
	} {
		end := fmt.Sprintf(backupEnd, c.entries, c.revision)
		text := c.body + end + fmt.Sprintf("%x", sha256.Sum256([]byte(c.body+end))) + backupClose
		if err := Restore(t.Context(), b, strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	broken := errors.New("broken")
	if err := Restore(t.Context(), b, readerFunc(func([]byte) (int, error) { return 0, broken })); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Restore(ctx, b, bytes.NewReader(goldenBackup(t))); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	if got := all(t, b); len(got) > 0 {
		t.Errorf("left %q", got)
	}
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(b []byte) (int, error) { return r(b) }

// TestRestoreRevision restores into a store that had entries: its revisions go
// on. Who watches it learns that it does not know all.
func TestRestoreRevision(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	b := reopen(t, path)
	for range 50 {
		set(t, b, "a", "", 0)
	}
	last, err := b.Commit(t.Context(), nil, []Write{{Key: "a", Delete: true}})
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, b, "", last)
	if err := Restore(t.Context(), b, bytes.NewReader(goldenBackup(t))); err != nil {
		t.Fatal(err)
	}
	if err := w.end(t); !errors.Is(err, ErrCompacted) {
		t.Errorf("the watcher: %v", err)
	}
	shut(t, b)
	b = reopen(t, path)
	e, err := b.Get(t.Context(), "name/web")
	if err != nil || e.Revision != last+1 {
		t.Errorf("restored at %d, %v; want %d", e.Revision, err, last+1)
	}
	if next := set(t, b, "b", "", 0); next != last+2 {
		t.Errorf("revision %d follows %d", next, last+1)
	}
}

// FuzzRestore reads any bytes. What is refused leaves nothing; what is accepted
// is what a backup of it writes, so no change of a backup is.
func FuzzRestore(f *testing.F) {
	whole := goldenBackup(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(`{"format":"share relay store","schema":1}` + "\n"))
	f.Add([]byte(`{"format":"share relay store","schema":9}` + "\n"))
	var none bytes.Buffer
	empty := openNew(f)
	if err := Backup(f.Context(), empty, &none); err != nil {
		f.Fatal(err)
	}
	f.Add(none.Bytes())
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, _, err := readBackup(t.Context(), bytes.NewReader(content)); err != nil {
			if err := Restore(t.Context(), empty, bytes.NewReader(content)); err == nil {
				t.Fatal("what cannot be read was restored")
			}
			if got := all(t, empty); len(got) > 0 {
				t.Fatalf("refused, it left %q", got)
			}
			return
		}
		b := openNew(t)
		if err := Restore(t.Context(), b, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := Backup(t.Context(), b, &again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), content) {
			t.Fatalf("it was read as\n%s", again.Bytes())
		}
	})
}
