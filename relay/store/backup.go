package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"unicode/utf8"
)

// A backup is lines of JSON: a header, a line for each entry in the order of
// their keys, and an end with their number, the revision that they were at, and
// the SHA-256 of all that stands before it. There is one way to write each line.
// Entries with a lease are not in it: who held them is gone when it is read.
const (
	backupFormat = "share relay store"

	backupEnd   = `{"entries":%d,"revision":%d,"sha256":"`
	backupClose = "\"}\n"

	// maxLine is more than the longest line has: a value in base64, and a
	// key of which every byte is escaped.
	maxLine = MaxValue*4/3 + 6*MaxKey + 256

	// maxRevision is the highest revision that is believed.
	maxRevision = 1 << 53
)

type backupHeader struct {
	Format string `json:"format"`
	Schema int    `json:"schema"`
}

// A backupEntry is an entry. Its key is text, or bytes if it is not UTF-8.
type backupEntry struct {
	Key   string `json:"key,omitempty"`
	Bytes []byte `json:"keyBytes,omitempty"`
	Value []byte `json:"value"`
}

type backupTrailer struct {
	Entries  int    `json:"entries"`
	Revision int64  `json:"revision"`
	SHA256   string `json:"sha256"`
}

// Backup writes all of s to w as lines of JSON: the state at one revision, while
// others write. Entries with a lease are left out.
func Backup(ctx context.Context, s Store, w io.Writer) error {
	out := bufio.NewWriter(w)
	digest := sha256.New()
	both := io.MultiWriter(out, digest)
	header, err := line(backupHeader{backupFormat, schema})
	if err != nil {
		return err
	}
	if _, err := both.Write(header); err != nil {
		return fmt.Errorf("store: write backup: %w", err)
	}
	entries := 0
	revision, err := s.Snapshot(ctx, func(e Entry) error {
		if e.Lease != 0 {
			return nil
		}
		entries++
		text, err := entryLine(e)
		if err != nil {
			return err
		}
		if _, err := both.Write(text); err != nil {
			return fmt.Errorf("store: write backup: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(both, backupEnd, entries, revision)
	fmt.Fprintf(out, "%x%s", digest.Sum(nil), backupClose)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("store: write backup: %w", err)
	}
	return nil
}

// readBackup returns what a backup has, once it is known to be whole. It reads
// to the end.
func readBackup(ctx context.Context, r io.Reader) ([]Entry, int64, error) {
	in := bufio.NewReaderSize(r, maxLine)
	digest := sha256.New()
	var entries []Entry
	size := 0
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		text, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, 0, fmt.Errorf("line %d has more than %d bytes", n, maxLine)
		case errors.Is(err, io.EOF) && n == 1:
			return nil, 0, errForeign
		case errors.Is(err, io.EOF):
			return nil, 0, fmt.Errorf("it was cut: it ends in line %d, which is not its last", n)
		case err != nil:
			return nil, 0, fmt.Errorf("read: %w", err)
		}
		switch {
		case n == 1:
			err = checkHeader(text)
		case bytes.HasPrefix(text, []byte(`{"entries":`)):
			revision, err := checkTrailer(text, len(entries), digest)
			if err != nil {
				return nil, 0, fmt.Errorf("line %d: %w", n, err)
			}
			if _, err := in.Peek(1); err == nil {
				return nil, 0, fmt.Errorf("something follows its last line, %d", n)
			} else if !errors.Is(err, io.EOF) {
				return nil, 0, fmt.Errorf("read: %w", err)
			}
			return entries, revision, nil
		default:
			var e Entry
			if e, err = parseEntry(text); err != nil {
				break
			}
			if len(entries) > 0 && entries[len(entries)-1].Key >= e.Key {
				err = errors.New("its key is not behind the one before")
			}
			if size += len(e.Key) + len(e.Value); size > maxFile {
				err = fmt.Errorf("there is more than the %d MiB that a store can have", maxFile>>20)
			}
			entries = append(entries, e)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", n, err)
		}
		digest.Write(text)
	}
}

var errForeign = errors.New("it is no backup of a relay")

// checkHeader returns what is wrong with the first line.
func checkHeader(text []byte) error {
	var h backupHeader
	if json.Unmarshal(text, &h) != nil || h.Format != backupFormat {
		return errForeign
	}
	if h.Schema > schema {
		return fmt.Errorf("it has schema %d and this version knows %d: use a newer share", h.Schema, schema)
	}
	want, err := line(backupHeader{backupFormat, schema})
	if err != nil {
		return err
	}
	if !bytes.Equal(text, want) {
		return errors.New("the header was changed")
	}
	return nil
}

// checkTrailer returns the revision of the last line, or what is wrong with it.
// The digest is that of the lines before.
func checkTrailer(text []byte, entries int, digest hash.Hash) (int64, error) {
	var t backupTrailer
	if err := json.Unmarshal(text, &t); err != nil {
		return 0, fmt.Errorf("its end is unreadable: %w", err)
	}
	if t.Entries != entries {
		return 0, fmt.Errorf("it has %d entries and should have %d: some were cut out or added", entries, t.Entries)
	}
	if t.Revision < 0 || t.Revision > maxRevision || t.Revision == 0 && entries > 0 {
		return 0, fmt.Errorf("revision %d", t.Revision)
	}
	end := fmt.Appendf(nil, backupEnd, t.Entries, t.Revision)
	digest.Write(end)
	end = hex.AppendEncode(end, digest.Sum(nil))
	if !bytes.Equal(text, append(end, backupClose...)) {
		return 0, errors.New("it does not match its SHA-256: it was changed")
	}
	return t.Revision, nil
}

// parseEntry reads the line of an entry.
func parseEntry(text []byte) (Entry, error) {
	var kept backupEntry
	if err := json.Unmarshal(text, &kept); err != nil {
		return Entry{}, fmt.Errorf("it is unreadable: %w", err)
	}
	e := Entry{Key: kept.Key, Value: append([]byte{}, kept.Value...)}
	if e.Key == "" {
		e.Key = string(kept.Bytes)
	}
	if err := checkKey(e.Key); err != nil {
		return Entry{}, err
	}
	if err := checkValue(e.Key, e.Value); err != nil {
		return Entry{}, err
	}
	want, err := entryLine(e)
	if err != nil {
		return Entry{}, err
	}
	if !bytes.Equal(text, want) {
		return Entry{}, errors.New("it is not as a backup writes it")
	}
	return e, nil
}

// entryLine returns the line of an entry.
func entryLine(e Entry) ([]byte, error) {
	kept := backupEntry{Key: e.Key, Value: append([]byte{}, e.Value...)}
	if !utf8.ValidString(e.Key) {
		kept.Key, kept.Bytes = "", []byte(e.Key)
	}
	return line(kept)
}

// line returns v as a line.
func line(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(b, '\n'), err
}
