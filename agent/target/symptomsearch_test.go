package target

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// inPieces gives what is told of a target that answers one request with head and a
// body whose pieces are read one after the other: each is sent once the visitor has
// the one before.
func inPieces(t *testing.T, head string, pieces ...string) *told {
	t.Helper()
	got := make(chan bool)
	s := serve(t, func(c net.Conn) {
		if _, err := headOf(c); err != nil {
			return
		}
		io.WriteString(c, head)
		for _, p := range pieces {
			io.WriteString(c, p)
			<-got
		}
	})
	var g told
	r := newRig(t, s.addr, Config{OnSymptom: g.add})
	x := r.open()
	defer x.Close()
	x.SendRequest(request("GET", "/"))
	x.End(nil)
	receiveHead(x)
	for _, p := range pieces {
		for n := 0; n < len(p); {
			b, err := x.Data()
			if err != nil {
				close(got)
				t.Fatal(err)
			}
			n += len(b)
		}
		got <- true
	}
	receiveBody(x, &answer{})
	r.next()
	return &g
}

func headOf(c net.Conn) (string, error) { return head(bufio.NewReader(c)) }

// A text is found wherever it is cut, and is no other for that.
func TestSymptomsInPieces(t *testing.T) {
	page := "HTTP/1.1 403 Forbidden\r\n\r\n"
	bad := "HTTP/1.1 400 Bad Request\r\n\r\n"
	style := strings.Repeat("x", 5000)
	tests := []struct {
		name   string
		head   string
		pieces []string
		want   string
	}{
		{"what begins a body", page, []string{"Blocked req", "uest. This host (\"a\")"}, HostRefused},
		{"what stands in it", page, []string{style + "<h1>Blocked ho", "sts: a.example"}, HostRefused},
		{"in three", page, []string{"<h1>Blo", "cked h", "ost: a.example"}, HostRefused},
		{"begin and end", bad, []string{"<!doctype html>\n<html lang=en>\n<title>400 Bad", " Request</title>\n<p>Host a is not tru", "sted.</p>"}, HostRefused},
		{"a whole body", page, []string{"Invalid Host ", "header\n"}, HostRefused},
		{"a whole body of a length", "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n", []string{"Invalid ", "Host header"}, HostRefused},
		{"plain HTTP to TLS", bad, []string{"Client sent an HTTP request to ", "an HTTPS server.\n"}, SpeaksTLS},

		{"a body that goes on", page, []string{"Invalid Host header", ", says webpack"}, ""},
		{"what does not begin it", page, []string{"<p>", "Blocked request. This host (\"a\")"}, ""},
		{"beyond what is looked at", page, []string{style, style, style, style, "<h1>Blocked host: a"}, ""},
		{"over the end of that", page, []string{strings.Repeat("x", refusalWindow-5) + "<h1>B", "locked host: a"}, ""},
	}
	for _, tt := range tests {
		if got := inPieces(t, tt.head, tt.pieces...).codes(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Nothing is kept of an answer that refuses nothing, nor of a refusal once that is
// known, and never more than is looked at.
func TestSearchKeeps(t *testing.T) {
	target, err := New(Config{Address: Address{Scheme: HTTP, Host: "localhost", Port: 1}, OnSymptom: func(Symptom) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	none := func(string) []byte { return nil }
	for status, want := range map[int]int{200: 0, 404: 0, 403: refusalWindow} {
		var s search
		s.head(target, request("GET", "/"), nil, status, -1, none)
		most := 0
		for range 20 {
			if s.suspicion != suspectNothing {
				s.body(make([]byte, 1000))
			}
			most = max(most, len(s.text))
		}
		if most > want || most < want*9/10 || s.text != nil || s.t != nil {
			t.Errorf("%d: kept %d bytes of 20,000, and %d at the end; want %d, and none", status, most, len(s.text), want)
		}
	}
	q := request("GET", "/")
	got := testing.AllocsPerRun(100, func() {
		var s search
		s.head(target, q, nil, 200, 1024, none)
		s.end()
	})
	if got != 0 {
		t.Errorf("a usual answer costs %v allocations, want none", got)
	}
}
