package faults

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An ending is how a message ended for the one who read it.
type ending int

const (
	whole   ending = iota // the message says itself that it ended
	short                 // the connection was closed before
	reset                 // the connection, or the HTTP/2 stream, was reset
	hung                  // nothing came until the reader's own deadline
	garbled               // not a message
)

func (e ending) String() string {
	return [...]string{"whole", "short", "reset", "hung", "garbled"}[e]
}

var errGarbled = errors.New("garbled message")

// endOf is the ending that a read error means inside a message.
func endOf(err error) ending {
	switch {
	case err == nil:
		return whole
	case errors.Is(err, os.ErrDeadlineExceeded):
		return hung
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return short
	}
	return garbled
}

// A field is a header or trailer field as it was read.
type field struct{ name, value string }

// A message is a request or a response, as far as it came.
type message struct {
	first    string // request line or status line
	status   int    // of a response; 0 if there was none
	fields   []field
	body     []byte    // its first MiB
	size     int64     // of all the body
	sum      hash.Hash // SHA-256 of all the body
	trailers []field
	interim  []*message // the 1xx before it
	end      ending
	code     uint32 // of the RST_STREAM, if that was the ending
	took     time.Duration
}

func newMessage() *message { return &message{sum: sha256.New()} }

// Write takes bytes of the body.
func (m *message) Write(p []byte) (int, error) {
	m.sum.Write(p)
	m.size += int64(len(p))
	if room := 1<<20 - len(m.body); room > 0 {
		m.body = append(m.body, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// get returns the value of the first field of that name, or "".
func (m *message) get(name string) string { return first(m.fields, name) }

func first(fields []field, name string) string {
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// all returns the values of every field of that name, in order.
func (m *message) all(name string) []string {
	var values []string
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

func (m *message) String() string {
	s := fmt.Sprintf("%q, %d bytes, %v after %v", m.first, m.size, m.end, m.took.Round(time.Millisecond))
	if m.status == 0 && m.first == "" {
		s = fmt.Sprintf("no message, %v after %v", m.end, m.took.Round(time.Millisecond))
	}
	return fmt.Sprintf("%s %q body %.200q", s, m.fields, m.body)
}

// readHead reads a start line and the fields. Line ends must be CRLF.
func (m *message) readHead(br *bufio.Reader) (err error) {
	if m.first, err = readLine(br); err != nil {
		return err
	}
	m.fields, err = readFields(br)
	return err
}

// readChunked reads a chunked body and its trailers.
func (m *message) readChunked(br *bufio.Reader) error {
	for {
		line, err := readLine(br)
		if err != nil {
			return err
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 62)
		if err != nil {
			return fmt.Errorf("%w: chunk size %q", errGarbled, line)
		}
		if size == 0 {
			m.trailers, err = readFields(br)
			return err
		}
		if _, err := io.CopyN(m, br, int64(size)); err != nil {
			return err
		}
		if line, err = readLine(br); err != nil {
			return err
		}
		if line != "" {
			return fmt.Errorf("%w: chunk ends with %q", errGarbled, line)
		}
	}
}

// readSized reads a body of the given Content-Length.
func (m *message) readSized(br *bufio.Reader, length string) error {
	n, err := strconv.ParseUint(length, 10, 62)
	if err != nil {
		return fmt.Errorf("%w: length %q", errGarbled, length)
	}
	_, err = io.CopyN(m, br, int64(n))
	return err
}

// chunked reports whether the message's body is chunked.
func (m *message) chunked() bool {
	return strings.EqualFold(m.get("Transfer-Encoding"), "chunked")
}

func readLine(br *bufio.Reader) (string, error) {
	line, err := br.ReadString('\n')
	if err != nil {
		if line != "" && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return strings.TrimSuffix(line, "\r"), err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return line, fmt.Errorf("%w: line %q", errGarbled, line)
	}
	return text, nil
}

// readFields reads fields up to and with the empty line.
func readFields(br *bufio.Reader) ([]field, error) {
	var fields []field
	for {
		line, err := readLine(br)
		if err != nil || line == "" {
			return fields, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return fields, fmt.Errorf("%w: field %q", errGarbled, line)
		}
		fields = append(fields, field{name, strings.Trim(value, " \t")})
	}
}
