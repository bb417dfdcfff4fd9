package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"share/tunnel"
)

// The oracle is net/http: whatever this package takes, net/http must read as
// the same message.

// A message is what both parsers made of one, in the same words.
type message struct {
	line     string
	fields   string
	framing  string
	body     string
	trailers string
	rest     string // the next message
}

// ourRequest reads a whole request with this package; ok is false unless it is
// taken and whole. origin is the target as received.
func ourRequest(data []byte) (m message, origin string, ok bool) {
	var r Request
	n, err := readRequest(&r, data)
	if n == 0 || err != nil {
		return m, "", false
	}
	origin = string(bytes.Fields(skipEmptyLine(data[:n]))[1])
	m.line = fmt.Sprintf("%s %s 1.%d %s %d", r.Method, origin, r.Minor, r.Name, effectivePort(r.Port, scheme([]byte(origin))))
	m.fields = canonicalFields(r.Fields)
	m.framing = fmt.Sprintf("length %d, close %v", r.ContentLength, r.Close)
	return m, origin, m.readBody(data[n:], r.Chunked, r.ContentLength, false)
}

// readBody reads the body and what follows it.
func (m *message) readBody(data []byte, chunked bool, length int64, response bool) (ok bool) {
	if !chunked {
		if int64(len(data)) < length {
			return false
		}
		m.body, m.rest = string(data[:length]), string(data[length:])
		return true
	}
	body, trailers, n, err := decode(response, data)
	m.body, m.rest = string(body), string(data[n:])
	m.trailers = canonicalFields(trailers)
	return err == io.EOF
}

// theirRequest reads a request with net/http.
func theirRequest(data []byte) (m message, err error) {
	br := bufio.NewReaderSize(bytes.NewReader(skipEmptyLine(data)), 64<<10)
	r, err := http.ReadRequest(br)
	if err != nil {
		return m, err
	}
	name, port, err := CanonicalHost([]byte(r.Host))
	if err != nil {
		return m, err
	}
	m.line = fmt.Sprintf("%s %s 1.%d %s %d", r.Method, r.RequestURI, min(r.ProtoMinor, 1), name, effectivePort(port, r.URL.Scheme))
	m.fields = headerFields(r.Header)
	m.framing = fmt.Sprintf("length %d, close %v", r.ContentLength, r.Close)
	return m, m.read(r.Body, &r.Trailer, br)
}

// read reads the body, then trailer, which is there only behind it, and what
// follows the message.
func (m *message) read(body io.Reader, trailer *http.Header, br *bufio.Reader) error {
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	rest, err := io.ReadAll(br)
	m.body, m.rest, m.trailers = string(b), string(rest), headerFields(*trailer)
	return err
}

// canonicalFields renders fields as headerFields does.
func canonicalFields(h tunnel.Header) string {
	m := make(http.Header)
	for _, f := range h {
		m.Add(string(f.Name), string(f.Value))
	}
	return headerFields(m)
}

// headerFields renders a header less the fields that net/http moves elsewhere
// or makes up.
func headerFields(h http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if h[name] == nil {
			continue // a trailer announced that did not come
		}
		switch name {
		case "Host", "Transfer-Encoding", "Trailer", "Cache-Control", "Content-Length", "Connection":
		default:
			fmt.Fprintf(&b, "%s: %q\n", name, h[name])
		}
	}
	return b.String()
}

// checkRequest fails t unless net/http reads data as this package does.
func checkRequest(t *testing.T, data []byte) {
	t.Helper()
	ours, origin, ok := ourRequest(data)
	if !ok {
		return
	}
	theirs, err := theirRequest(data)
	if err != nil && refusedTarget(err) {
		// net/url refuses what browsers send; look at the rest.
		n := bytes.Index(data, []byte(origin+" HTTP/"))
		plain := slices.Concat(data[:n], []byte("/"), data[n+len(origin):])
		if ours, _, ok = ourRequest(plain); !ok {
			return // absolute-form was right, "/" may not be
		}
		theirs, err = theirRequest(plain)
	}
	if err != nil {
		if !refusedByThem(err, data) {
			t.Fatalf("taken, but net/http says: %v\n%q", err, data)
		}
		return
	}
	if ours != theirs {
		t.Fatalf("read differently\n%q\n ours  %+v\n theirs %+v", data, ours, theirs)
	}
}

// refusedTarget reports whether net/http refused a target for its URL.
func refusedTarget(err error) bool {
	return strings.HasPrefix(err.Error(), "parse ")
}

// refusedByThem reports whether net/http refused what RFC 9112 allows: it reads
// no other message then.
func refusedByThem(err error, data []byte) bool {
	switch {
	case strings.Contains(err.Error(), "chunked encoding contains too much non-data"):
		return true
	case strings.Contains(err.Error(), "invalid byte in chunk length"): // BWS before an extension
		return bytes.Contains(data, []byte(" ;")) || bytes.Contains(data, []byte("\t;"))
	}
	return false
}

// ourResponse reads a whole response with this package. clean is the message
// with its head written anew; raw says that the head needed no cleaning.
func ourResponse(data []byte, method string) (m message, clean []byte, raw, ok bool) {
	data = bytes.Clone(data)
	before := bytes.Clone(data)
	var r Response
	n, err := readResponse(&r, data, method)
	if n == 0 || err != nil {
		return m, nil, false, false
	}
	m.line = fmt.Sprintf("%d %q 1.%d", r.Status, r.Reason, r.Minor)
	m.fields = canonicalFields(r.Fields)
	m.framing = fmt.Sprintf("close %v", r.Close)
	length := r.ContentLength
	if r.CloseDelimited {
		length = int64(len(data) - n)
	}
	clean = fmt.Appendf(nil, "HTTP/1.%d %d %s\r\n", r.Minor, r.Status, r.Reason)
	clean = append(AppendFields(clean, r.Fields), "\r\n"...)
	clean = append(clean, data[n:]...)
	raw = bytes.Equal(data, before)
	return m, clean, raw, m.readBody(data[n:], r.Chunked, length, true)
}

// theirResponse reads a response with net/http.
func theirResponse(data []byte, method string) (m message, err error) {
	br := bufio.NewReaderSize(bytes.NewReader(data), 64<<10)
	r, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		return m, err
	}
	defer r.Body.Close()
	_, reason, _ := strings.Cut(r.Status, " ")
	m.line = fmt.Sprintf("%d %q 1.%d", r.StatusCode, reason, min(r.ProtoMinor, 1))
	m.fields = headerFields(r.Header)
	m.framing = fmt.Sprintf("close %v", r.Close)
	return m, m.read(r.Body, &r.Trailer, br)
}

// checkResponse fails t unless net/http reads the cleaned message, and data
// itself where nothing was to be cleaned, as this package reads data.
func checkResponse(t *testing.T, data []byte, method string) {
	t.Helper()
	ours, clean, raw, ok := ourResponse(data, method)
	if !ok {
		return
	}
	inputs := [][]byte{clean}
	if raw {
		inputs = append(inputs, data)
	}
	for i, in := range inputs {
		theirs, err := theirResponse(in, method)
		if err != nil {
			repeated := i == 1 && strings.Contains(err.Error(), "Content-Length") // "5, 5", or "5" and "05"
			if !repeated && !refusedByThem(err, in) && !strings.Contains(err.Error(), "bad trailer key") {
				t.Fatalf("taken, but net/http says: %v\n%q", err, in)
			}
			return
		}
		if strings.HasPrefix(ours.line, "204 ") {
			ours.framing = theirs.framing // a body that may not be there closes, here alone
		}
		if ours != theirs {
			t.Fatalf("read differently\n%q\n ours  %+v\n theirs %+v", in, ours, theirs)
		}
	}
}

func TestRulesAgainstNetHTTP(t *testing.T) {
	for _, tt := range requestRules {
		for _, body := range []string{"", "hello", "0\r\n\r\n", "1;x\r\na\r\n0\r\nA: 1\r\n\r\nGET"} {
			checkRequest(t, []byte(tt.input+body))
		}
	}
	for _, tt := range responseRules {
		for _, body := range []string{"", "hello", "0\r\n\r\n", "1;x\r\na\r\n0\r\nA: 1\r\n\r\nHTTP"} {
			checkResponse(t, []byte(tt.input+body), "GET")
			checkResponse(t, []byte(tt.input+body), "HEAD")
		}
	}
	for _, tt := range slices.Concat(chunkRules, trailerRules) {
		checkRequest(t, []byte(post("Transfer-Encoding: chunked")+tt.input))
		checkResponse(t, []byte(ok("Transfer-Encoding: chunked")+tt.input), "GET")
	}
}

// checkHostURL fails t unless net/url reads host as the same name and port.
func checkHostURL(t *testing.T, host, name []byte, port int) {
	t.Helper()
	if bytes.IndexByte(host, '%') >= 0 {
		return // net/url decodes, or refuses, what is only compared here
	}
	u, err := url.Parse("http://" + string(host) + "/")
	if err != nil {
		t.Fatalf("%q taken, but net/url says: %v", host, err)
	}
	got := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if addr, err := netip.ParseAddr(got); err == nil {
		got = addr.String()
	}
	gotPort := -1
	if u.Port() != "" {
		gotPort, _ = strconv.Atoi(u.Port())
	}
	if got != string(name) || gotPort != port {
		t.Fatalf("%q: got %q, %d; net/url reads %q, %d", host, name, port, got, gotPort)
	}
}
