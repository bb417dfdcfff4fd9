package edge

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"share/tunnel"
)

// A script is frames in few bytes, so that a fuzzer finds its way: each is a
// type, flags, a stream, a length and the payload. A request's head stands for
// a HEADERS of a length above 0xf0.
func script(data []byte) (frames []byte) {
	for len(data) >= 4 {
		typ, flags, stream, n := frameType(data[0]%12), data[1], uint32(data[2]%16), int(data[3])
		data = data[4:]
		payload := data[:min(n, len(data))]
		if n > 0xf0 {
			payload = heads[n%len(heads)]
		} else {
			data = data[len(payload):]
		}
		frames = appendFrameHeader(frames, typ, flags, stream, len(payload))
		frames = append(frames, payload...)
	}
	return frames
}

// heads are header blocks.
var heads = func() (all [][]byte) {
	for _, fields := range [][]string{
		{":method", "GET", ":scheme", "http", ":authority", "x.test", ":path", "/"},
		{":method", "POST", ":scheme", "http", ":authority", "x.test", ":path", "/", "content-length", "3"},
		{":method", "HEAD", ":scheme", "https", ":authority", "y.test", ":path", "/", "te", "trailers"},
		{":method", "GET", ":scheme", "http", ":authority", "home.test", ":path", "/", "cookie", "a", "cookie", "b"},
		{":method", "CONNECT", ":authority", "x.test"},
		{"x-sum", "1"},
	} {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for i := 0; i < len(fields); i += 2 {
			e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true})
		}
		all = append(all, b.Bytes())
	}
	return all
}()

// Whatever frames a visitor sends: the connection ends when they have ended
// their half, all that they get is valid, an answer's end is its last frame
// save a reset without error, and no request is served that was not sent.
func FuzzConn2(f *testing.F) {
	for _, seed := range []string{
		"",
		"\x01\x05\x01\xf1",
		"\x01\x05\x01\xf1\x01\x05\x03\xf2\x01\x05\x05\xf3\x01\x05\x07\xf4\x01\x05\x09\xf5",
		"\x01\x04\x01\xf1\x00\x00\x01\x03abc\x00\x01\x01\x00",
		"\x01\x04\x01\xf6\x00\x01\x01\x03abc",
		"\x01\x04\x01\xf1\x00\x09\x01\x03\x01ab",
		"\x01\x04\x01\xf1\x03\x00\x01\x04\x00\x00\x00\x08\x00\x01\x01\x01a",
		"\x01\x01\x01\xf1\x09\x04\x01\x00",
		"\x04\x00\x00\x06\x00\x04\x00\x00\x00\x00\x01\x05\x01\xf1\x08\x00\x01\x04\x00\x00\x00\x01",
		"\x06\x00\x00\x0812345678\x02\x00\x03\x05\x00\x00\x00\x00\x01\x07\x00\x00\x0812345678",
		"\x01\x05\x01\x04\x82\x86\x84\x41",
	} {
		f.Add([]byte(seed))
	}
	logged := &lines{}
	s := newStub(f, func(x *tunnel.Exchange) {
		body, err := io.ReadAll(x)
		if err != nil {
			x.Abort(tunnel.AsFailure(err))
			return
		}
		respond(x, 200, strings.Repeat("x", len(body)))
	}, func(cfg *Config) { cfg.Logger = slog.New(slog.NewJSONHandler(logged, nil)) })
	f.Fuzz(func(t *testing.T, data []byte) {
		logged.reset()
		nc, err := net.Dial("tcp", s.second)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		frames := script(data)
		sent := make(chan bool)
		go func() {
			defer close(sent)
			// An error is the relay's end of it.
			nc.Write(append([]byte(preface2+string(appendSettings(nil))), frames...))
			nc.(*net.TCPConn).CloseWrite()
		}()
		checkAnswers(t, nc)
		<-sent
		s.t = t
		s.wgConns()
		s.t = f
		if n := len(logged.requests(t)); n > len(data)/4 {
			t.Fatalf("%d requests in %d frames", n, len(data)/4)
		}
	})
}

// checkAnswers reads what a visitor of HTTP/2 gets, to its end.
func checkAnswers(t *testing.T, r io.Reader) {
	framer := http2.NewFramer(nil, r)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.SetMaxReadFrameSize(maxFrame)
	ended := make(map[uint32]bool)
	for {
		frame, err := framer.ReadFrame()
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			t.Fatal("the connection does not end")
		}
		if _, ok := errors.AsType[*net.OpError](err); ok || err == io.EOF || err == io.ErrUnexpectedEOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		h := frame.Header()
		switch f := frame.(type) {
		case *http2.RSTStreamFrame:
			continue
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); len(status) != 3 {
				t.Fatalf("status %q", status)
			}
		case *http2.DataFrame:
		default:
			continue
		}
		if ended[h.StreamID] {
			t.Fatalf("%v behind the end of the stream", h)
		}
		ended[h.StreamID] = h.Flags&flagEndStream != 0
	}
}

// FuzzHead2 compares what is made of a head with what net/http's framer makes
// of the same block: what it takes for malformed is no request, and what both
// take holds the same.
func FuzzHead2(f *testing.F) {
	for _, seed := range []string{
		":method\nGET\n:scheme\nhttp\n:authority\nx.test\n:path\n/",
		":method\nGET\n:scheme\nhttp\n:authority\nx.test\n:path\n/\ncookie\na=1\nte\ntrailers\ncookie\nb=2\nhost\nx.test",
		":method\nPOST\n:scheme\nhttps\n:path\n/\nhost\nx.test\ncontent-length\n3\nA\n1\nconnection\nclose",
		":method\nGET\n:scheme\nhttp\na\n1\n:path\n/\n:path\n/\n:status\n200\n\n\nb\n 1\nc\n1\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		words := strings.Split(lines, "\n")
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for i := 0; i+1 < len(words); i += 2 {
			encoder.WriteField(hpack.HeaderField{Name: words[i], Value: words[i+1]})
		}
		if block.Len() == 0 || block.Len() > maxFrame {
			return
		}
		var s stream
		s.asked.reset(false)
		decoder := hpack.NewDecoder(hpackTable, s.asked.add)
		if _, err := decoder.Write(block.Bytes()); err != nil {
			t.Fatal(err)
		}
		if s.asked.malformed() != "" || s.check(true) != nil {
			return
		}
		frame := appendFrameHeader(nil, frameHeaders, flagEndHeaders|flagEndStream, 1, block.Len())
		framer := http2.NewFramer(nil, io.MultiReader(bytes.NewReader(frame), &block))
		framer.ReadMetaHeaders = hpack.NewDecoder(hpackTable, nil)
		read, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("net/http takes it for malformed: %v", err)
		}
		other := read.(*http2.MetaHeadersFrame)
		authority := other.PseudoValue("authority")
		var want tunnel.Header
		cookie := -1
		for _, f := range other.RegularFields() {
			switch f.Name {
			case "host":
				if authority == "" {
					authority = f.Value
				}
				continue
			case "te", "http2-settings":
				continue
			case "cookie":
				if cookie >= 0 {
					want[cookie].Value = append(append(want[cookie].Value, "; "...), f.Value...)
					continue
				}
				cookie = len(want)
			}
			want.Add(f.Name, f.Value)
		}
		r := &s.request
		got := s.asked.fields(nil, r.Authority)
		if string(r.Method) != other.PseudoValue("method") || string(r.Target) != other.PseudoValue("path") ||
			string(r.Authority) != authority || string(got[0].Value) != authority {
			t.Fatalf("%s %s of %s, want %v", r.Method, r.Target, r.Authority, other.PseudoFields())
		}
		same := func(a, b tunnel.Field) bool {
			return tunnel.EqualFold(a.Name, string(b.Name)) && bytes.Equal(a.Value, b.Value)
		}
		if !slices.EqualFunc(got[1:], want, same) {
			t.Fatalf("got\n%s\nwant\n%s", text(got[1:]), text(want))
		}
	})
}

// FuzzFields2 reads back what is written of an answer's fields.
func FuzzFields2(f *testing.F) {
	f.Add("Content-Type", "text/plain", 200)
	f.Add("X-A", "", 999)
	f.Add(strings.Repeat("Long-", 60), strings.Repeat("v", 300), 103)
	f.Fuzz(func(t *testing.T, name, value string, status int) {
		if name == "" || name[0] == ':' || status < 100 || status > 999 {
			return
		}
		var h tunnel.Header
		h.Add(name, value)
		h.Add("Etag", value)
		block := appendFields(appendStatus([]byte{hpackNoTable}, status), h)
		got, err := hpack.NewDecoder(0, nil).DecodeFull(block)
		if err != nil || len(got) != 3 {
			t.Fatalf("%v, %v", got, err)
		}
		lower := string(appendLower(nil, []byte(name)))
		if got[0].Name != ":status" || got[0].Value != string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}) ||
			got[1].Name != lower || got[1].Value != value || got[2].Name != "etag" || got[2].Value != value {
			t.Fatalf("got %v of %q: %q", got, name, value)
		}
	})
}
