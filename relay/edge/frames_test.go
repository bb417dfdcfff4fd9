package edge

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"share/tunnel"
)

// A visitor2 is one raw connection of HTTP/2.
type visitor2 struct {
	net.Conn
	t      testing.TB
	framer *http2.Framer
	head   bytes.Buffer
	hpack  *hpack.Encoder
	next   uint32
}

func (s *stub) visit2() *visitor2 {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.second)
	if err != nil {
		s.t.Fatal(err)
	}
	return visitor2On(s.t, visitorOn(s.t, nc))
}

// visitor2On begins a connection of HTTP/2 on v.
func visitor2On(t testing.TB, v *rawVisitor) *visitor2 {
	v2 := &visitor2{Conn: v, t: t, framer: http2.NewFramer(v, v.r), next: 1}
	v2.hpack = hpack.NewEncoder(&v2.head)
	v2.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(v, http2.ClientPreface)
	v2.framer.WriteSettings()
	return v2
}

// open sends a head: its fields are names and values in turn, and come behind
// those of method and path.
func (v *visitor2) open(end bool, method, path string, fields ...string) (stream uint32) {
	v.t.Helper()
	return v.openRaw(end, append([]string{":method", method, ":scheme", "http", ":authority", "x.test", ":path", path}, fields...)...)
}

func (v *visitor2) openRaw(end bool, fields ...string) (stream uint32) {
	v.t.Helper()
	block := v.encode(fields...)
	stream, v.next = v.next, v.next+2
	first := block[:min(len(block), 16<<10)]
	block = block[len(first):]
	err := v.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0})
	for err == nil && len(block) > 0 {
		piece := block[:min(len(block), 16<<10)]
		block = block[len(piece):]
		err = v.framer.WriteContinuation(stream, len(block) == 0, piece)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	return stream
}

// encode returns a header block of names and values in turn.
func (v *visitor2) encode(fields ...string) []byte {
	v.head.Reset()
	for i := 0; i < len(fields); i += 2 {
		v.hpack.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return v.head.Bytes()
}

// An answer2 is what came on a stream, and how it ended: "END_STREAM",
// "RST_STREAM" with its code, or the connection's error.
type answer2 struct {
	status  string
	interim []string
	fields  []hpack.HeaderField
	body    string
	trailer []hpack.HeaderField
	end     string
}

func (a *answer2) get(name string) string {
	for _, f := range a.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// want checks the status and the cause.
func (a *answer2) want(t testing.TB, status int, cause string) {
	t.Helper()
	if got := a.get("share-error"); a.status != fmt.Sprint(status) || got != cause || a.end != "END_STREAM" {
		t.Errorf("got %s %q, %s; want %d %q", a.status, got, a.end, status, cause)
	}
}

// receive reads the frames of a stream until it ends.
func (v *visitor2) receive(stream uint32) answer2 {
	v.t.Helper()
	return v.receiveUntil(stream, func(*answer2) bool { return false })
}

// receiveUntil reads the frames of a stream until it ends, or is says so.
func (v *visitor2) receiveUntil(stream uint32, is func(*answer2) bool) (a answer2) {
	v.t.Helper()
	for a.end == "" && !is(&a) {
		frame, err := v.framer.ReadFrame()
		if err != nil {
			a.end = err.Error()
			return a
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				v.framer.WriteSettingsAck()
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				a.end = "GOAWAY " + f.ErrCode.String()
			}
		}
		if frame.Header().StreamID != stream || stream == 0 {
			continue
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			v.head2(&a, f)
		case *http2.DataFrame:
			a.body += string(f.Data())
			if n := uint32(len(f.Data())); n > 0 {
				v.framer.WriteWindowUpdate(0, n)
				v.framer.WriteWindowUpdate(stream, n)
			}
			if f.StreamEnded() {
				a.end = "END_STREAM"
			}
		case *http2.RSTStreamFrame:
			a.end = "RST_STREAM " + f.ErrCode.String()
		}
	}
	return a
}

func (v *visitor2) head2(a *answer2, f *http2.MetaHeadersFrame) {
	switch status := f.PseudoValue("status"); {
	case strings.HasPrefix(status, "1") && a.status == "":
		a.interim = append(a.interim, status)
	case a.status == "":
		a.status, a.fields = status, f.RegularFields()
	case status != "":
		v.t.Errorf("a head of status %s behind that of %s", status, a.status)
	default:
		a.trailer = f.RegularFields()
	}
	if f.StreamEnded() {
		a.end = "END_STREAM"
	}
}

// trailers end the request's half of a stream.
func (v *visitor2) trailers(stream uint32, name, value string) {
	block := v.encode(name, value)
	for typ, flags := frameHeaders, uint8(flagEndStream); ; typ, flags = frameContinuation, 0 {
		piece := block[:min(len(block), maxFrame)]
		if block = block[len(piece):]; len(block) == 0 {
			v.raw(typ, flags|flagEndHeaders, stream, piece...)
			return
		}
		v.raw(typ, flags, stream, piece...)
	}
}

// A gRPC server with nothing to say sends its status in a head that ends the
// stream, and a client takes it from nowhere else.
func TestEmptyAnswerEndsWithItsHead(t *testing.T) {
	t.Parallel()
	seen := make(chan bool)
	s := newStub(t, func(x *tunnel.Exchange) {
		x.SendResponse(response(200, 0, "Grpc-Status", "0"))
		x.Flush()
		select {
		case <-seen: // the head came alone
		case <-time.After(50 * time.Millisecond):
		}
		x.End(nil)
	}, nil)
	v := s.visit2()
	stream := v.open(true, "POST", "/")
	for {
		frame, err := v.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := frame.(*http2.MetaHeadersFrame); ok && f.StreamID == stream {
			if !f.StreamEnded() {
				t.Error("the head does not end the stream")
			}
			close(seen)
			return
		}
	}
}
