package http1

import (
	"bytes"
	"io"
	"slices"
	"testing"
)

// Whatever is taken, net/http reads as the same message; where the bytes are
// cut on their way changes nothing; nothing is changed in them.
func FuzzRequest(f *testing.F) {
	for _, tt := range requestRules {
		if len(tt.input) < 1024 {
			f.Add([]byte(tt.input + "hello"))
		}
	}
	for _, tt := range slices.Concat(chunkRules, trailerRules) {
		if len(tt.input) < 1024 {
			f.Add([]byte(post("Transfer-Encoding: chunked") + tt.input))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		checkRequest(t, data)
		checkRequestCuts(t, data)
		if !bytes.Equal(data, before) {
			t.Fatal("a request's bytes were changed")
		}
	})
}

// checkRequestCuts fails t unless a head read byte by byte is the same as one
// that comes at once.
func checkRequestCuts(t *testing.T, data []byte) {
	t.Helper()
	var r Request
	want, wantErr := readRequest(&r, data)
	n, err := 0, error(nil)
	for i := 0; i < len(data) && n == 0 && err == nil; i++ {
		n, err = RequestHead(data[:i+1], i)
	}
	if n > 0 {
		err = r.Parse(data[:n])
	}
	if (err == nil) != (wantErr == nil) || err == nil && n != want {
		t.Fatalf("byte by byte %d, %v; at once %d, %v\n%q", n, err, want, wantErr, data)
	}
	if err != nil && causeOf(t, err).Status() < 400 {
		t.Fatalf("%v has no status", err)
	}
}

// Whatever is taken, net/http reads as the same message, and cleaning it again
// changes nothing.
func FuzzResponse(f *testing.F) {
	for _, tt := range responseRules {
		if len(tt.input) < 1024 {
			f.Add([]byte(tt.input+"hello"), false)
		}
	}
	for _, tt := range slices.Concat(chunkRules, trailerRules) {
		if len(tt.input) < 1024 {
			f.Add([]byte(ok("Transfer-Encoding: chunked")+tt.input), true)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, isHead bool) {
		method := "GET"
		if isHead {
			method = "HEAD"
		}
		checkResponse(t, data, method)
		checkResponseCuts(t, data, method)
		ours, clean, _, ok := ourResponse(data, method)
		if !ok {
			return
		}
		again, twice, raw, ok := ourResponse(clean, method)
		if !ok || !raw || again != ours || !bytes.Equal(clean, twice) {
			t.Fatalf("cleaned again: %v %v\n%q\n%q\n%+v\n%+v", ok, raw, clean, twice, ours, again)
		}
	})
}

func checkResponseCuts(t *testing.T, data []byte, method string) {
	t.Helper()
	var r Response
	data = bytes.Clone(data)
	n, err := 0, error(nil)
	for i := 0; i < len(data) && n == 0 && err == nil; i++ {
		n, err = ResponseHead(data[:i+1], i)
	}
	whole, wholeErr := ResponseHead(data, 0)
	if n > 0 {
		err = r.Parse(bytes.Clone(data[:n]), []byte(method))
	}
	if whole > 0 {
		wholeErr = r.Parse(data[:whole], []byte(method))
	}
	if (err == nil) != (wholeErr == nil) || err == nil && n != whole {
		t.Fatalf("byte by byte %d, %v; at once %d, %v\n%q", n, err, whole, wholeErr, data)
	}
}

// A body is the same wherever its bytes are cut, what net/http decodes, and
// encodes to what decodes to itself. Nothing behind it is eaten.
func FuzzChunked(f *testing.F) {
	for _, tt := range slices.Concat(chunkRules, trailerRules) {
		f.Add([]byte(tt.input), uint8(3), false)
		f.Add([]byte(tt.input), uint8(1), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint8, response bool) {
		body, trailers, n, err := decode(response, data)
		if err == nil && n != len(data) {
			t.Fatalf("consumed %d of %d bytes and wants more", n, len(data))
		}
		// In pieces.
		var c Chunked
		var pieces []byte
		var pieceErr error
		c.Reset(response)
		at, size := 0, int(cut%61)+1
		for at < len(data) && pieceErr == nil {
			end := min(at+size, len(data))
			for at < end && pieceErr == nil {
				var d []byte
				var k int
				d, k, pieceErr = c.Next(data[at:end])
				if k == 0 && pieceErr == nil {
					t.Fatal("no progress")
				}
				pieces = append(pieces, d...)
				at += k
			}
		}
		if !bytes.Equal(body, pieces) || causeOfBody(t, err) != causeOfBody(t, pieceErr) || err == io.EOF && at != n {
			t.Fatalf("at once %q, %v, %d; in pieces of %d %q, %v, %d", body, err, n, size, pieces, pieceErr, at)
		}
		if err != io.EOF {
			return
		}
		if response {
			checkResponse(t, append([]byte(ok("Transfer-Encoding: chunked")), data...), "GET")
		} else {
			checkRequest(t, append([]byte(post("Transfer-Encoding: chunked")), data...))
		}
		// Encoded anew.
		var out []byte
		for part := range slices.Chunk(body, size) {
			out = AppendChunk(out, part)
		}
		out = AppendLastChunk(out, trailers)
		if len(fieldLines(trailers))+len("\r\n") > MaxHead {
			return // ": " for ":" took them above the bound
		}
		again, trailersAgain, k, err := decode(response, out)
		if !bytes.Equal(again, body) || fieldLines(trailersAgain) != fieldLines(trailers) || k != len(out) || err != io.EOF {
			t.Fatalf("%q encoded as %q decodes to %q, %v", body, out, again, err)
		}
	})
}

func causeOfBody(t *testing.T, err error) string {
	if err == io.EOF {
		return "whole"
	}
	return causeOf(t, err).String()
}

// A canonical host is canonical, holds nothing that could end a label, a line
// or an authority, and net/url reads it the same.
func FuzzHost(f *testing.F) {
	for _, tt := range hostRules {
		f.Add([]byte(tt.input))
	}
	f.Fuzz(func(t *testing.T, host []byte) {
		before := bytes.Clone(host)
		name, port, err := CanonicalHost(host)
		if !bytes.Equal(host, before) {
			t.Fatal("host was changed")
		}
		if err != nil {
			if causeOf(t, err) != e400 {
				t.Fatalf("%q: %v", host, err)
			}
			return
		}
		if len(name) == 0 || port < -1 || port > 65535 || bytes.ContainsAny(name, "@/?#\\[] \t\r\n\x00") ||
			!bytes.Equal(name, bytes.ToLower(name)) {
			t.Fatalf("%q: got %q, %d", host, name, port)
		}
		checkHostURL(t, host, name, port)
		literal := slices.Clone(name)
		if bytes.IndexByte(name, ':') >= 0 {
			literal = slices.Concat([]byte("["), name, []byte("]"))
		}
		again, port, err := CanonicalHost(literal)
		if !bytes.Equal(again, name) || port != -1 || err != nil {
			t.Fatalf("%q: canonical %q, again %q, %d, %v", host, name, again, port, err)
		}
	})
}
